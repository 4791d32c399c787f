'use strict';
// Votes are kept here until the server has said that it keeps them: closing the page or losing the line loses none.
const query = new URLSearchParams(location.search), code = query.get('code');
const campaign = location.pathname.split('/').at(-2), base = location.pathname.replace(/\/page$/, '');
const random = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), b => b.toString(16).padStart(2, '0')).join('');
const annotator = query.get('annotator') || localStorage.getItem('annotator') || 'someone-' + random().slice(0, 6);
if (!query.get('annotator')) localStorage.setItem('annotator', annotator);
const store = `votes ${campaign} ${annotator}`;
const state = Object.assign({ queue: [], buffer: [], past: [], votes: 0, wanted: 0 }, JSON.parse(localStorage.getItem(store) || '{}'));
const $ = id => document.getElementById(id), save = () => localStorage.setItem(store, JSON.stringify(state));
const keyOf = item => `${item.pair} ${item.round}`;
let shown = null, shownAt = 0, isOffline = false, isDone = false, isBusy = false, note = '';

function address(path, parameters) {
  const all = new URLSearchParams(parameters);
  if (code) all.set('code', code);
  return `${base}/${path}?${all}`;
}

function tell() {
  const waiting = state.queue.length;
  $('status').textContent = `${state.votes} of about ${state.wanted} votes. `
    + (isOffline ? `No connection: ${waiting} kept here, sent when it is back. ` : waiting ? `${waiting} being sent. ` : 'All sent. ') + note;
  $('undo').disabled = state.past.length === 0;
}

function words(text, other) {
  // The longest common subsequence of words; what is not in it is marked.
  const a = text.split(/(\s+)/), b = other.split(/(\s+)/), rows = a.length, columns = b.length;
  const common = Array.from({ length: rows + 1 }, () => new Uint16Array(columns + 1));
  for (let i = rows - 1; i >= 0; i--)
    for (let j = columns - 1; j >= 0; j--)
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const parts = [];
  for (let i = 0, j = 0; i < rows; i++) {
    while (j < columns && a[i] !== b[j] && common[i][j + 1] > common[i + 1][j]) j++;
    const same = j < columns && a[i] === b[j];
    if (same) j++;
    const part = document.createElement(same || !a[i].trim() ? 'span' : 'mark');
    part.textContent = a[i];
    parts.push(part);
  }
  return parts;
}

function draw() {
  const differences = $('differences').getAttribute('aria-pressed') === 'true';
  for (const [id, other] of [['first', 'second'], ['second', 'first']]) {
    const text = shown[id].trim() || '(empty)';
    $(id).replaceChildren(...(differences ? words(text, shown[other]) : [text]));
  }
}

function show() {
  const next = state.buffer[0] || null, isNew = next && (!shown || keyOf(next) !== keyOf(shown));
  $('pair').hidden = !next;
  $('done').hidden = !!next || !isDone;
  if (isNew) {
    const isFirst = !shown;
    shown = next;
    shownAt = performance.now();
    $('dialogue').textContent = next.dialogue;
    $('differences').setAttribute('aria-pressed', 'false');
    for (const box of document.querySelectorAll('#why input')) box.checked = false;
    $('comment').value = '';
    draw();
    if (!isFirst) $('heading').focus({ preventScroll: true });
  } else if (!next) shown = null;
  tell();
}

function vote(choice) {
  if (!shown) return;
  const item = state.buffer.shift(), message = {
    id: random(), pair: item.pair, round: item.round, choice, seconds: (performance.now() - shownAt) / 1000,
    reasons: Array.from(document.querySelectorAll('#why input:checked'), box => box.value), comment: $('comment').value,
  };
  state.queue.push(message);
  state.past.push({ id: message.id, item });
  state.votes++;
  note = { first: 'A was better.', second: 'B was better.', tie: 'Equally good.', bothBad: 'Both bad.', skip: 'Skipped.' }[choice];
  save();
  show();
  exchange();
}

function undo() {
  const last = state.past.pop();
  if (!last) return;
  const waiting = state.queue.findIndex(message => message.id === last.id);
  // One that is on its way counts as sent.
  if (waiting >= 0 && !isBusy) state.queue.splice(waiting, 1);
  else state.queue.push({ id: random(), undoes: last.id, pair: last.item.pair, round: last.item.round });
  state.buffer.unshift(last.item);
  state.votes--;
  isDone = false;
  note = 'Taken back.';
  save();
  show();
  exchange();
}

async function ask(path, parameters, options) {
  const answer = await fetch(address(path, parameters), options);
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

/** Sends what waits, then fetches more where little is left; one exchange at a time. */
async function exchange() {
  if (isBusy) return;
  isBusy = true;
  try {
    while (state.queue.length) {
      const body = JSON.stringify({ annotator, votes: state.queue.slice(0, 100) });
      const { kept } = await ask('votes', {}, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
      state.queue = state.queue.filter(message => !kept.includes(message.id));
      save();
    }
    if (state.buffer.length < 4) {
      const answer = await ask('next', { annotator, count: 10 });
      if (!state.queue.length) state.votes = answer.votes;
      state.wanted = answer.wanted;
      const known = new Set([...state.buffer, ...state.queue].map(keyOf));
      state.buffer.push(...answer.pairs.filter(pair => !known.has(keyOf(pair))));
      isDone = !state.buffer.length;
      save();
    }
    isOffline = false;
  } catch {
    isOffline = true;
  }
  isBusy = false;
  show();
  if (!isOffline && state.queue.length) exchange();
}

document.querySelectorAll('[data-choice]').forEach(button => button.addEventListener('click', () => vote(button.dataset.choice)));
$('undo').addEventListener('click', undo);
$('differences').addEventListener('click', () => {
  $('differences').setAttribute('aria-pressed', $('differences').getAttribute('aria-pressed') !== 'true');
  draw();
});
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches('textarea, input')) return;
  const choice = { 1: 'first', 2: 'second', t: 'tie', x: 'bothBad', s: 'skip' }[event.key];
  if (choice) vote(choice);
  else if (event.key === 'u') undo();
  else if (event.key === 'd' && shown) $('differences').click();
  else return;
  event.preventDefault();
});
addEventListener('online', exchange);
setInterval(() => { if (isOffline || state.queue.length || !state.buffer.length) exchange(); }, 3000);
$('who').textContent = annotator;
show();
exchange();
