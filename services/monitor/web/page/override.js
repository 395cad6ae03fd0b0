// The form that turns a knob by hand; shown only where the run allows it.
import { element, figure, words } from "./format.js";

export function setUpOverride(feed) {
  const form = document.getElementById("override");
  const result = document.getElementById("override-result");
  const range = document.getElementById("override-range");

  const about = () => feed.answer?.knobs.find((knob) => knob.name === form.elements.knob.value);
  const showRange = () => {
    const knob = about();
    range.textContent = knob ? `${knob.meaning}; from ${figure(knob.low)} to ${figure(knob.high)}.` : "";
  };
  const say = (text, ok) => {
    result.textContent = text;
    result.dataset.ok = String(ok);
  };
  form.elements.knob.addEventListener("change", showRange);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const clear = event.submitter?.value === "clear";
    const text = form.elements.value.value.trim();
    const value = Number(text);
    if (!clear && (text === "" || !Number.isFinite(value))) {
      say("Give a number as the value.", false);
      form.elements.value.focus();
      return;
    }
    try {
      const response = await fetch("api/override", {
        method: "POST", headers: { "Content-Type": "application/json" }, signal: AbortSignal.timeout(5000),
        body: JSON.stringify({ knob: form.elements.knob.value, value: clear ? null : value,
          reason: form.elements.reason.value, token: form.elements.token.value }),
      });
      const answer = (await response.text()).trim();
      say(response.ok ? (clear ? `${words(form.elements.knob.value)} is given back to the controller.`
        : `${words(form.elements.knob.value)} is ${figure(value)} now.`) : `Refused: ${answer}`, response.ok);
      if (response.ok) await feed.refresh();
    } catch {
      say("The monitor does not answer; nothing was changed as far as is known.", false);
    }
  });

  /** Shows or hides the form as the run allows it. */
  return () => {
    form.hidden = !feed.answer?.run.overrides;
    const select = form.elements.knob;
    if (form.hidden || select.options.length > 0) return;
    select.replaceChildren(...feed.answer.knobs.map((knob) =>
      element("option", { value: knob.name }, words(knob.name))));
    showRange();
  };
}
