// The frame around every page: navigation, theme, keys, and whether the page is live. The only module the document loads.
import { live, liveState } from "/static/lib/api.js";
import { help, startKeys } from "/static/lib/keys.js";
import { navigate, start } from "/static/lib/router.js";

const theme = document.getElementById("theme");
const mark = document.getElementById("live");
const WORDS = { connecting: "connecting", live: "live", offline: "offline" };
const MEANS = {
  connecting: "Asking the server for news",
  live: "New points and runs appear by themselves",
  offline: "The server does not answer; start it again with: autotrack dashboard",
};

function showTheme() {
  const dark = document.documentElement.dataset.theme === "dark";
  theme.textContent = dark ? "Light" : "Dark";
  theme.setAttribute("aria-label", dark ? "Change to the light theme" : "Change to the dark theme");
}

function showLive() {
  const now = liveState();
  mark.className = `live live-${now}`;
  mark.textContent = WORDS[now];
  mark.title = MEANS[now];
}

theme.addEventListener("click", () => window.toggleTheme());
window.addEventListener("themechange", showTheme);
window.addEventListener("livestate", showLive);
document.getElementById("keys").addEventListener("click", help);
showTheme();
showLive();
live(() => {});
startKeys(navigate);
start();
