// Making elements. What comes from runs enters the page as text only: there is no way here to set HTML.

// h("a", {class: "x", href: "/", onclick: f}, "text", child, [children], null): an element.
// A prop that starts with "on" is a listener; `true` an empty attribute; null, undefined and false none (but aria-x="false").
// `style: {width: "3px"}` is set through the CSSOM, which the content policy allows; `data: {key: "v"}` is dataset.
export function h(tag, props, ...children) {
  return filled(document.createElement(tag), props, children);
}

// The same for SVG.
export function svg(tag, props, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function filled(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("aria-"))
      element.setAttribute(name, String(value)); // "false" says something there
    else if (value === false) continue;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else if (name === "href" && !safe(String(value))) element.setAttribute("href", "#");
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

// Add children: elements, text, numbers, or lists of them.
export function append(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

// Replace what is in `element`.
export function fill(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

// A link of a run may say javascript:, so only web addresses and our own pages are followed.
function safe(address) {
  return /^(https?:\/\/|[/?#])/i.test(address);
}

// Run `call` once `wait` ms have passed without another call.
export function debounce(call, wait) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...args), wait);
  };
}

// The computed value of a custom property, such as color("--accent"): for what is drawn on a canvas.
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Load a page's own stylesheet once; resolves when it applies, so that nothing is seen unstyled.
export function stylesheet(address) {
  const known = document.querySelector(`link[href="${address}"]`);
  if (known) return known.loaded ?? Promise.resolve();
  const link = h("link", { rel: "stylesheet", href: address });
  link.loaded = new Promise((done) => {
    link.addEventListener("load", done);
    link.addEventListener("error", done);
  });
  document.head.append(link);
  return link.loaded;
}
