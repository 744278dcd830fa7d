// The switch for light, dark and the system's choice.
import { button, fill } from "./dom.js";
import { icon } from "./icons.js";
import { say } from "./announce.js";

const looks = { auto: ["auto", "as the system"], light: ["sun", "light"], dark: ["moon", "dark"] };

/** themeButton makes the button; each press goes on to the next of the three. */
export function themeButton() {
  const theme = window.comfygoTheme;
  const el = button("", { quiet: true, class: "square", id: "theme" });
  const draw = () => {
    const [shape, word] = looks[theme.get()];
    fill(el, icon(shape));
    el.setAttribute("aria-label", `Colours: ${word}. Change`);
    el.title = `Colours: ${word}`;
  };
  el.addEventListener("click", () => {
    const next = theme.names[(theme.names.indexOf(theme.get()) + 1) % theme.names.length];
    theme.set(next);
    draw();
    say(`Colours: ${looks[next][1]}.`);
  });
  draw();
  return el;
}
