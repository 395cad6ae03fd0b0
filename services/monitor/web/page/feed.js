// Asks the monitor for its report each second and keeps the history; backs off while it is silent.

const INTERVAL = 1000;
const LONGEST_PAUSE = 15000;
const TIMEOUT = 5000;

async function getJson(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT), cache: "no-store" });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** What the page knows: the last answer, when it came, the whole history. */
export class Feed {
  constructor(onChange) {
    this.onChange = onChange;
    this.answer = null;      // of /api/report; null before the first
    this.checkpoints = [];
    this.events = [];
    this.next = { checkpoint: 0, event: 0 };  // ordinals to ask for
    this.version = 0;        // grows when the history does
    this.lastAnswer = null;  // performance.now() of the last answer [ms]
    this.silentSince = null; // performance.now() of the first failure in a row; null while it answers
    this.started = performance.now();
    this.failures = 0;
    this.timer = null;
    this.current = Promise.resolve();  // ends with the last poll that was begun
  }

  start() { this.refresh(); }

  /** Asks now, as after an override; where an earlier poll is not over yet, after it: two at once
   *  would both fetch the same part of the history. */
  refresh() {
    clearTimeout(this.timer);
    const next = () => this.poll();
    this.current = this.current.then(next, next);
    return this.current;
  }

  async poll() {
    let pause = INTERVAL;
    try {
      const answer = await getJson("api/report");
      await this.catchUp(answer.history);
      this.answer = answer;
      this.lastAnswer = performance.now();
      this.silentSince = null;
      this.failures = 0;
    } catch {
      this.silentSince ??= this.lastAnswer ?? this.started;
      this.failures += 1;
      pause = Math.min(LONGEST_PAUSE, INTERVAL * 2 ** Math.min(this.failures - 1, 4));
    }
    this.onChange();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), pause);
  }

  /** Gets what the history has and this page has not. */
  async catchUp(totals) {
    if (this.answer !== null && totals.id !== this.answer.history.id) {
      this.checkpoints = [];  // the monitor was started anew
      this.events = [];
      this.next = { checkpoint: 0, event: 0 };
      this.version += 1;
    }
    while (this.next.checkpoint < totals.checkpoints || this.next.event < totals.events) {
      const page = await getJson(
        `api/history?from=${this.next.checkpoint}&events=${this.next.event}`);
      if (page.checkpoints.length === 0 && page.events.length === 0) break;
      this.checkpoints.push(...page.checkpoints);
      this.events.push(...page.events);
      this.next = { checkpoint: page.next_checkpoint, event: page.next_event };
      this.version += 1;
    }
  }

  /** Seconds without an answer; 0 while it answers. */
  silence() {
    return this.silentSince === null ? 0 : (performance.now() - this.silentSince) / 1000;
  }

  /** Age of the figures now [s]; null before the first. */
  age() {
    const age = this.answer?.report.age_seconds ?? null;
    if (age === null || age < 0) return null;
    return age + (performance.now() - this.lastAnswer) / 1000;
  }

  /** "connecting", "live", "stale", "down", or "over" once the monitor has said that the run is. */
  state() {
    if (this.answer?.over) return "over";
    if (this.silentSince !== null && this.silence() > 2.5) return "down";
    if (this.answer === null) return "connecting";
    return this.answer.report.verdict === "stale" ? "stale" : "live";
  }
}
