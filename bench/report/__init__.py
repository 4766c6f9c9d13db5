"""`bench report`: a finished run as one HTML file that needs no network, with plots and players."""
