"""A page in a real browser, with questions put to it; the answers come back as plain values."""

import html
import json
import re
import shutil
import subprocess

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

# Before the page's own script: what goes wrong is kept.
BEFORE = """<script>
window.failures = [];
addEventListener("error", (event) => failures.push(event.message));
addEventListener("unhandledrejection", (event) => failures.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => failures.push(`refused: ${event.blockedURI}`));
const complain = console.error;
window.requestAnimationFrame = (draw) => setTimeout(draw, 5);  // without a screen nothing asks for frames
console.error = (...words) => { failures.push(words.join(" ")); complain(...words); };
</script>
"""
AFTER = """<script>
(async () => {
  const drawn = () => new Promise((done) => setTimeout(done, 20));
  const press = async (target, key, more = {}) => {
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
    await drawn();
  };
  const answers = {};
  try {
    await drawn();
    %s
  } catch (error) { failures.push(`question: ${error.stack}`); }
  answers.failures = failures;
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  answers.requests = loaded.filter((name) => !name.startsWith("data:"));
  const shown = document.createElement("pre");
  shown.id = "outcome";
  shown.textContent = JSON.stringify(answers);
  document.body.append(shown);
})();
</script>
"""


def ask(content, questions, folder, *, fragment="", size=(1300, 1000), dark=False):
    """What a page answers.

    Args:
        content: the page.
        questions: JavaScript that fills ``answers``; ``drawn()`` waits until the page is drawn, ``press(element, key)``
            presses a key there.
        folder: to write to.
        fragment: of the page's address.
        size: of the window.
        dark: whether the screen is.

    Returns:
        ``answers``, with ``failures`` (errors, and what the policy refused) and ``requests``.
    """
    page = folder / "page.html"
    asked = content.replace('<script type="application/json"', BEFORE + '<script type="application/json"', 1)
    page.write_text(asked.replace("</body>", AFTER % questions + "</body>"), encoding="utf-8")
    command = [
        BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={size[0]},{size[1]}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=8000", "--dump-dom",
        f"{page.as_uri()}{fragment}",
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="outcome">(.*?)</pre>', shown, re.DOTALL)
    assert found, "the page did not answer"
    return json.loads(html.unescape(found[1]))
