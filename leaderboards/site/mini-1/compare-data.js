window.BOARD = {"board":"mini-1","entries":[],"columns":[]};
