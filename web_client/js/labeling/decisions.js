// Decisions about labels on their way to the server: each is written down while it is sent, and
// crossed out only when the server says that it is durable.

const MOST = 500; // in a request
const STEP = 500; // milliseconds, doubled at every failure
const LONGEST = 30_000;

// Whatever is said about the decision itself will be said again; a full disk or a service that is
// away will not.
const isFinal = ({ status }) => status >= 400 && status < 500 && ![401, 408, 429].includes(status);

const name = ({ dataset, image }) => `${dataset}/${image}`;

// `send(dataset, labels, source, {keepalive}?)` → {labeled, conflicts, unknown}; `log`: {read() → [{key, value}],
// add(values) → keys, change(pairs, gone)}. Three of the `on…` get (dataset, …) as answers come:
// `onSaved` [{image, category, changed, isLatest}], `onConflict` [{theirs, mine}], `onRefused` [decision] and
// why. `onResumed` gets [decision] of an earlier page, `onState` {waiting, problem}. `who`: the promise of the name that decisions are signed with.
export function decisions({ send, log, who = Promise.resolve(null), onSaved = () => {}, onConflict = () => {}, onRefused = () => {}, onResumed = () => {}, onState = () => {}, wait = setTimeout, forget = clearTimeout, random = Math.random }) {
  let waiting = []; // {key, value: {dataset, image, category, seen, source, who}}, in turn
  let signer = null; // until it is known
  let isSending = false;
  let failures = 0;
  let problem = null;
  let timer = null;

  who.then((name) => { signer = name; });

  const tell = () => onState({ waiting: waiting.length, problem });

  // One request: the first ones of one dataset that came in one way.
  function take() {
    const [first] = waiting;
    const batch = [];
    for (const entry of waiting) {
      const isAlike = entry.value.dataset === first.value.dataset && entry.value.source === first.value.source;
      if (!isAlike || batch.length === MOST) break;
      batch.push(entry);
    }
    return batch;
  }

  async function turn() {
    if (isSending || waiting.length === 0) return;
    isSending = true;
    forget(timer);
    timer = null;
    const batch = take();
    const { dataset, source } = batch[0].value;
    // What is not written down yet can not be crossed out either.
    const written = Promise.all(batch.map((entry) => entry.written));
    let delay = 0;
    try {
      const labels = batch.map(({ value: { image, category, seen } }) => ({ image, category, seen }));
      const reply = await send(dataset, labels, source);
      await written;
      await settle(batch, dataset, reply);
      failures = 0;
      problem = null;
    } catch (error) {
      if (isFinal(error)) {
        await written;
        await drop(batch);
        onRefused(dataset, batch.map(({ value }) => value), error);
        problem = null;
      } else {
        problem = error;
        delay = (error.retryAfter ?? 0) * 1000 || random() * Math.min(LONGEST, STEP * 2 ** failures);
        failures += 1;
      }
    }
    isSending = false;
    tell();
    if (waiting.length === 0) return;
    if (delay) timer = wait(turn, delay);
    else turn();
  }

  async function settle(batch, dataset, { labeled, conflicts, unknown }) {
    const changed = new Map(labeled.map((one) => [one.image, one.changed]));
    const late = new Set([...conflicts.map((one) => one.image), ...unknown]);
    const sent = new Set(batch);
    // What was decided about the same image meanwhile has seen this answer, or fails with it.
    const rest = waiting.filter((entry) => !sent.has(entry) && entry.value.dataset === dataset);
    const touched = rest.filter(({ value }) => changed.has(value.image));
    for (const { value } of touched) value.seen = changed.get(value.image);
    const gone = [...batch, ...rest.filter(({ value }) => late.has(value.image))];
    const mine = new Map(gone.map(({ value }) => [value.image, value]));
    await drop(gone, touched);
    const later = new Set(touched.map(({ value }) => value.image));
    if (labeled.length) onSaved(dataset, labeled.map((one) => ({ ...one, isLatest: !later.has(one.image) })));
    if (conflicts.length) onConflict(dataset, conflicts.map((theirs) => ({ theirs, mine: mine.get(theirs.image) })));
    if (unknown.length) onRefused(dataset, unknown.map((image) => mine.get(image)), null);
  }

  async function drop(gone, touched = []) {
    const these = new Set(gone);
    waiting = waiting.filter((entry) => !these.has(entry));
    // A decision that stays in the log is sent once more, which changes nothing.
    await log.change(touched.map(({ key, value }) => [value, key]), gone.map(({ key }) => key)).catch(() => {});
  }

  return {
    // Returns when the decisions are written down; they are sent by themselves.
    async decide(made) {
      const entries = made.map((one) => {
        const value = { ...one, who: signer };
        const before = waiting.findLast((entry) => name(entry.value) === name(value));
        return { key: null, value: before ? { ...value, seen: before.value.seen } : value };
      });
      waiting.push(...entries);
      tell();
      const written = log.add(entries.map((entry) => entry.value))
        .then((keys) => entries.forEach((entry, index) => { entry.key = keys[index]; }), () => {});
      for (const entry of entries) entry.written = written;
      // While a service is away it is asked again when its time has come, not at every key.
      if (timer === null) turn();
      await written;
    },
    // Takes up what an earlier page wrote down and could not send. What somebody else decided waits
    // until they come again: the server signs it with the name of whoever sends it.
    async resume() {
      const mine = await who;
      const left = await log.read().catch(() => []);
      const taken = left.filter(({ value }) => value.who == null || value.who === mine);
      waiting.unshift(...taken);
      onResumed(taken.map(({ value }) => value));
      tell();
      turn();
    },
    // For the moment in which the page ends: what is not written down yet is sent all the same. Should
    // it be written down too, it is sent once more, which changes nothing.
    leave() {
      for (const { value: { dataset, source, image, category, seen } } of waiting.filter(({ key }) => key === null)) {
        send(dataset, [{ image, category, seen }], source, { keepalive: true }).catch(() => {});
      }
    },
    // Tries at once: the network is back.
    again() {
      turn();
    },
    waiting: () => waiting.length,
  };
}
