"use strict";
// Tables that sort, one recording at a time, and a blind comparison. Nothing is stored or sent.

for (const button of document.querySelectorAll("button.sort")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => {
      const cell = row.cells[column];
      return cell.dataset.sort === undefined ? null : Number(cell.dataset.sort);
    };
    const text = (row) => row.cells[column].textContent.trim();
    const numeric = [...body.rows].some((row) => key(row) !== null);
    const compare = (a, b) => {
      if (!numeric) return text(a).localeCompare(text(b), "en", { numeric: true }) * (up ? 1 : -1);
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null); // no figure: always last
      return (x - y) * (up ? 1 : -1);
    };
    body.append(...[...body.rows].sort(compare));
  });
}

const players = [...document.querySelectorAll("audio")];
for (const audio of players) {
  audio.addEventListener("play", () => {
    for (const other of players) if (other !== audio) other.pause();
    blind.pause();
  });
}

const blind = new Audio(); // what the blind comparison plays; it shows no name
const box = document.getElementById("abx");
if (box) {
  const [clip, one, two] = ["abx-clip", "abx-one", "abx-two"].map((id) => document.getElementById(id));
  const told = document.getElementById("abx-told");
  const count = document.getElementById("abx-count");
  const articles = [...document.querySelectorAll("article.clip")];
  let trial = null;
  let right = 0;
  let answered = 0;

  const recordings = () => {
    const found = articles[clip.selectedIndex].querySelectorAll("audio");
    return new Map([...found].map((audio) => [audio.dataset.system, audio]));
  };
  const fill = (select, names, wanted) => {
    select.replaceChildren(...names.map((name) => new Option(name, name, false, name === wanted)));
  };
  const choose = () => {
    const names = [...recordings().keys()];
    fill(one, names, names.includes(one.value) ? one.value : names[0]);
    fill(two, names, names.includes(two.value) ? two.value : names[1]);
    start();
  };
  const start = () => {
    blind.pause();
    press(null);
    const pair = [one.value, two.value];
    if (pair[0] === pair[1] || !pair[1]) {
      trial = null;
      told.textContent = "Choose two different recordings.";
      return;
    }
    if (Math.random() < 0.5) pair.reverse();
    trial = { a: pair[0], b: pair[1], answer: Math.random() < 0.5 ? "a" : "b", open: true };
    told.textContent = "Ready: play A, B and X.";
  };
  const press = (key) => {
    for (const button of box.querySelectorAll("button.play")) {
      button.setAttribute("aria-pressed", String(button.dataset.key === key));
    }
  };
  const play = (key) => {
    const name = key === "x" ? trial[trial.answer] : trial[key];
    for (const audio of players) audio.pause();
    blind.src = recordings().get(name).src;
    blind.play().catch((error) => { told.textContent = `It cannot be played: ${error.message}`; });
    press(key);
  };
  const chance = () => { // of as many right answers or more by guessing alone
    let sum = 0;
    let term = 1; // binomial coefficient of n over k
    for (let k = 0; k <= answered; k += 1) {
      if (k >= right) sum += term;
      term = (term * (answered - k)) / (k + 1);
    }
    return sum / 2 ** answered;
  };
  const answer = (key) => {
    if (!trial.open) return;
    trial.open = false;
    const fits = (key === "1" ? "a" : "b") === trial.answer;
    answered += 1;
    right += fits ? 1 : 0;
    told.textContent = `${fits ? "Right" : "Wrong"}: X was ${trial.answer.toUpperCase()}. A was ${trial.a}, B was ${trial.b}.`;
    count.textContent = `${right} of ${answered} right; guessing does as well in ${(100 * chance()).toFixed(0)} % of such series.`;
  };
  const act = (key) => {
    if (key === "n") start();
    else if (trial === null) told.textContent = "Choose two different recordings.";
    else if (key === "1" || key === "2") answer(key);
    else play(key);
  };

  fill(clip, articles.map((article) => article.dataset.clip), articles[0].dataset.clip);
  clip.addEventListener("change", choose);
  one.addEventListener("change", start);
  two.addEventListener("change", start);
  blind.addEventListener("ended", () => press(null));
  for (const button of box.querySelectorAll("button")) {
    button.addEventListener("click", () => act(button.dataset.key));
  }
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
    const key = event.key.toLowerCase();
    if (key === "escape") blind.pause();
    if (!["a", "b", "x", "1", "2", "n"].includes(key) || event.repeat) return;
    event.preventDefault();
    act(key);
  });
  choose();
}
