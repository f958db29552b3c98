// Light or dark, set before the first paint: what the person chose, else what the system says. A plain script in the
// head, so that no page flashes in the wrong colours. Charts listen for "themechange" to draw anew.
(function () {
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem("autotrack-theme");
    } catch {
      return null; // storage that is switched off: the system's theme, then
    }
  }

  function apply() {
    const wanted = chosen();
    document.documentElement.dataset.theme =
      wanted === "light" || wanted === "dark" ? wanted : system.matches ? "dark" : "light";
    window.dispatchEvent(new Event("themechange"));
  }

  window.toggleTheme = function () {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("autotrack-theme", next);
    } catch {
      document.documentElement.dataset.theme = next;
    }
    apply();
  };
  system.addEventListener("change", apply);
  apply();
})();
