// Sets the colours before anything is drawn. A classic script, as modules run only after the first paint.
(() => {
  const key = "comfygo.theme";
  const known = ["auto", "light", "dark"];
  const read = () => {
    try {
      const kept = localStorage.getItem(key);
      return known.includes(kept) ? kept : "auto";
    } catch {
      return "auto"; // storage may be forbidden
    }
  };
  const apply = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
  };
  const theme = {
    names: known,
    get: read,
    set(name) {
      apply(name);
      try {
        localStorage.setItem(key, name);
      } catch {
        // the choice lasts as long as the page then
      }
    },
  };
  window.comfygoTheme = theme;
  apply(read());
})();
