// What a person would see wrong with a page, as functions; each answers a list of what is wrong.
(() => {
  const visible = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true, contentVisibilityAuto: true });
  const name = (element) => `${element.tagName} ${element.className} ${(element.textContent || "").trim().slice(0, 40)}`;
  const channels = (colour) => {
    const numbers = colour.match(/[\d.]+/g).map(Number);
    return { r: numbers[0], g: numbers[1], b: numbers[2], a: numbers.length > 3 ? numbers[3] : 1 };
  };
  const luminance = ({ r, g, b }) => {
    const linear = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.a === 1) return colour;
      if (colour.a !== 0) return null; // this test does not mix colours
    }
    return { r: 255, g: 255, b: 255 };
  };
  const ownText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return {
    // text that is too faint, and how many texts there are
    contrast() {
      const wrong = [];
      let seen = 0;
      for (const element of document.body.querySelectorAll("*")) {
        if (element.closest("svg, script") || !ownText(element) || !visible(element)) continue;
        seen += 1;
        const style = getComputedStyle(element);
        const behind = background(element);
        const [a, b] = [luminance(channels(style.color)), luminance(behind ?? { r: 128, g: 128, b: 128 })];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        if (ratio < (large ? 3 : 4.5)) wrong.push(`${ratio.toFixed(2)} ${name(element)}`);
      }
      return { seen, wrong };
    },
    // controls in their order
    controls() {
      const all = document.querySelectorAll("a[href], button, summary, [tabindex='0']");
      return [...all].filter(visible).map((one, at) => ((one.dataset.order = at), name(one)));
    },
    // tables and what is around them that does not fit
    clipped() {
      const wrong = [];
      let seen = 0;
      for (const table of document.querySelectorAll("table, pre")) {
        const box = table.getBoundingClientRect();
        seen += 1;
        if (!visible(table) || box.height === 0) wrong.push(`hidden: ${table.id} ${name(table)}`);
        const parent = table.parentElement;
        if (parent.scrollWidth > parent.clientWidth + 1 || parent.scrollHeight > parent.clientHeight + 1) wrong.push(`clipped: ${table.id}`);
        if (box.right > innerWidth + 1) wrong.push(`beyond the page: ${table.id}`);
        for (const cell of table.querySelectorAll("td, th")) {
          if (cell.scrollWidth > cell.clientWidth + 1) wrong.push(`cell of ${table.id}: ${name(cell)}`);
        }
      }
      return { seen, wrong };
    },
    // what assistive technology misses
    structure() {
      const wrong = [];
      const count = (selector) => document.querySelectorAll(selector).length;
      for (const one of ["main", "header", "footer", "nav", "h1", "title"]) {
        if (document.querySelectorAll(one === "title" ? "head > title" : one).length !== 1) wrong.push(`not one ${one}`);
      }
      let level = 1;
      for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
        const next = Number(heading.tagName[1]);
        if (next > level + 1) wrong.push(`a level is left out before ${name(heading)}`);
        level = next;
      }
      for (const svg of document.querySelectorAll("svg:not([aria-hidden])")) {
        if (svg.getAttribute("role") !== "img" || !svg.querySelector(":scope > title")?.textContent) wrong.push("a picture without words");
      }
      for (const table of document.querySelectorAll("table")) {
        if (!table.caption?.textContent || table.querySelector("thead th:not([scope])")) wrong.push(`table ${table.id}`);
      }
      for (const region of document.querySelectorAll("section")) {
        const label = region.getAttribute("aria-label") ?? document.getElementById(region.getAttribute("aria-labelledby"))?.textContent;
        if (!label) wrong.push(`section ${region.id}`);
      }
      const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
      if (new Set(ids).size !== ids.length) wrong.push("an id is there twice");
      for (const link of document.querySelectorAll("a[href^='#']")) {
        if (!document.querySelector(link.getAttribute("href"))) wrong.push(`leads nowhere: ${name(link)}`);
      }
      if (count("[style], [onclick], [onload], [onerror]")) wrong.push("an attribute that a strict policy refuses");
      return wrong;
    },
    rows(id) {
      const rows = document.querySelectorAll(`#${id} tbody tr`);
      return [...rows].map((row) => [...row.cells].map((cell) => cell.textContent.replaceAll("\u00a0", " ")));
    },
  };
})()
