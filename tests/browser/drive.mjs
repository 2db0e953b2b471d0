// One headless Chromium, told what to do by lines of JSON on standard input; each is answered by one
// line. The pages are judged from outside, as a person's browser shows them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const [executablePath] = process.argv.slice(2);
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, args: [...args, "--disable-gpu", "--disable-quic"] });
let context;
let tabs = [];

// A tab that a link opens is there a moment later.
async function tab(number = 0) {
  while (!tabs[number]) await context.waitForEvent("page");
  return tabs[number];
}

// axe-core is injected as the debugger does it, so that the page's own policy stays as strict as it is.
async function judged(page) {
  if (!(await page.evaluate("'axe' in window"))) await page.evaluate(readFileSync(axePath, "utf8"));
  const found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
  return found.violations.map(({ id, impact, nodes }) => ({
    id, impact, where: nodes.map((node) => `${node.target.join(" ")}: ${node.failureSummary}`),
  }));
}

const acts = {
  async open({ scripts = true, width = 1280, height = 900, scheme = "light" }) {
    await context?.close();
    context = await browser.newContext({
      viewport: { width, height }, colorScheme: scheme, javaScriptEnabled: scripts, reducedMotion: "reduce",
    });
    context.setDefaultTimeout(60000);
    tabs = [];
    context.on("page", (page) => tabs.push(page)); // those that links open, too
    await context.newPage();
  },
  async tab() {
    await context.newPage();
  },
  async look({ width, height, scheme }) {
    await (await tab()).setViewportSize({ width, height });
    await (await tab()).emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  },
  async scheme({ scheme, on }) {
    await (await tab(on)).emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  },
  async goto({ url, on }) {
    await (await tab(on)).goto(url, { waitUntil: "domcontentloaded" });
  },
  async click({ selector, on }) {
    await (await tab(on)).click(selector);
  },
  async press({ key, times = 1, on }) {
    for (let time = 0; time < times; time += 1) await (await tab(on)).keyboard.press(key);
  },
  async fill({ selector, text, on }) {
    await (await tab(on)).fill(selector, text);
  },
  async choose({ selector, value, on }) {
    await (await tab(on)).selectOption(selector, value);
  },
  async tabs() {
    return tabs.length;
  },
  async see({ text, selector = "body", on }) {
    await (await tab(on)).locator(selector, { hasText: text }).first().waitFor();
  },
  async read({ selector = "body", on }) {
    return (await tab(on)).locator(selector).first().innerText();
  },
  async attribute({ selector, name, on }) {
    return (await tab(on)).locator(selector).first().getAttribute(name);
  },
  async url({ on }) {
    return (await tab(on)).url();
  },
  async evaluate({ script, on }) {
    return (await tab(on)).evaluate(script);
  },
  async shot({ path, whole = true, on }) {
    await (await tab(on)).screenshot({ path, fullPage: whole });
  },
  async offline({ off }) {
    await context.setOffline(off);
  },
  async axe({ on }) {
    const page = await tab(on);
    try {
      return await judged(page);
    } catch (error) {
      if (!String(error).includes("context was destroyed")) throw error;
      await page.waitForLoadState(); // the page had just gone on by itself
      return judged(page);
    }
  },
};

console.log(JSON.stringify({ ready: browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
  const { act, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: (await acts[act](rest)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
