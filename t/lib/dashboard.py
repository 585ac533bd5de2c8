"""What t/57-browser.t has Chromium do: "ok NAME" or "not ok NAME: WHY"."""

import json
import sys
import time
import urllib.request

import browser

TREE, READ_ONLY, JOBS = sys.argv[1:4]

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ok(name, wrong=None):
    text = ' '.join(str(wrong).split())[:600] if wrong else ''
    print('not ok %s: %s' % (name, text) if wrong else 'ok ' + name,
          flush=True)


def job(query):
    try:
        opener.open(JOBS + query, timeout=20).read()
    except urllib.error.HTTPError:
        pass


def calm(page, name):
    """No error, nothing refused by the policy, nothing asked elsewhere."""
    ok(name + ': no trouble in the console', page.trouble)
    host = TREE.split('/')[2]
    ok(name + ': asks for nothing elsewhere',
       [u for u in page.requests if u.split('/')[2:3] != [host]])


NUMBER = '''(key => [...document.querySelectorAll('[data-k$="' + key + '"]')]
    .map(el => el.textContent)[0])'''

# every text with the background that is behind it, as WCAG reckons it

CONTRAST = r'''(() => {
const channel = v => { v /= 255;
    return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
const canvas = document.createElement("canvas").getContext("2d",
    { willReadFrequently: true });
const rgba = c => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
const light = c => .2126 * channel(c[0]) + .7152 * channel(c[1])
    + .0722 * channel(c[2]);
const ratio = (a, b) => { const [x, y] = [light(a), light(b)];
    return (Math.max(x, y) + .05) / (Math.min(x, y) + .05); };
const behind = el => { for (; el; el = el.parentElement) {
    const c = rgba(getComputedStyle(el).backgroundColor);
    if (c[3] === 255) return c; } return [255, 255, 255]; };
let least = 99, n = 0; const bad = [];
const see = (el, colour, what) => { n++;
    const r = ratio(rgba(colour), behind(el));
    least = Math.min(least, r);
    if (r < 4.5) bad.push(what + " " + r.toFixed(2)); };
for (const el of document.querySelectorAll("body *")) {
    const style = getComputedStyle(el);
    if (!el.checkVisibility() || el.closest("svg")) continue;
    const text = [...el.childNodes].some(
        c => c.nodeType === 3 && c.data.trim());
    if (text) see(el, style.color, el.tagName + "#" + el.id + " "
        + el.textContent.trim().slice(0, 20));
    const before = getComputedStyle(el, "::before");
    if (before.content !== "none") see(el, before.color, el.tagName
        + "::before " + el.className);
}
for (const el of document.querySelectorAll("#verdict svg"))
    see(el, getComputedStyle(el).fill, "icon");
return { least, n, bad };
})()'''

OVERFLOW = '''document.documentElement.scrollWidth
    - document.documentElement.clientWidth'''


def contrast(page, name):
    seen = page.eval(CONTRAST)
    ok('%s: contrast of %s' % (name, 'all texts'),
       seen['bad'] or (seen['n'] < 60 and 'only %d texts' % seen['n']))


def without_script(b):
    page = b.page(script=False)
    page.open(TREE)
    text = page.call('DOM.getDocument', {'depth': -1})
    html = page.call('DOM.getOuterHTML',
                     {'nodeId': text['root']['nodeId']})['outerHTML']
    ok('no script: numbers are there',
       not all(w in html for w in ('Healthy', 'hashmix', 'cpu_queue_cap'))
       and html[:200])
    before = len(page.requests)
    page.until(lambda: len(page.requests) > before + 1,
               'the page to load itself again', 9)
    ok('no script: it loads itself anew')
    calm(page, 'no script')
    page.close()


def moves(page):
    before = page.eval(NUMBER + '("n:received")')
    for n in range(30):
        job('kind=hashmix&id=%d&cost=%d' % (n, 100 + n))
    page.until(lambda: page.eval(NUMBER + '("n:received")') != before,
               'numbers to move')
    ok('numbers move')
    page.until(lambda: page.eval(
        'document.querySelector("tr.inline .spark path:nth-child(2)")'
        '.getAttribute("d").length > 20'), 'a curve')
    ok('curves are drawn')
    ok('the verdict is that of api/stats', page.eval('''(async () => {
        const s = await (await fetch("api/stats")).json();
        const words = { ok: "Healthy", busy: "Busy", shedding: "Rejecting" };
        return document.getElementById("word").textContent
            === words[s.status] ? "" : s.status; })()'''))


def streams(page):
    rows = 'document.querySelectorAll("#feed tbody tr").length'
    page.until(lambda: page.eval(
        'document.getElementById("live").textContent') == 'live',
        'the stream')
    ok('the stream is live')
    job('kind=hashmix&id=4711')
    page.until(lambda: '4711' in page.eval(
        'document.getElementById("feed").textContent'), 'a decision')
    ok('a decision is shown')
    page.key('p')
    ok('p pauses', page.eval(
        'document.getElementById("pause").getAttribute("aria-pressed")')
        != 'true')
    before = page.eval(rows)
    job('kind=hashmix&id=4712')
    received = page.eval(NUMBER + '("n:received")')
    page.pump(1.5)
    ok('no decision in a pause', page.eval(rows) != before and page.eval(rows))
    page.key('p')
    page.eval('''(() => { const f = document.getElementById("f-kind");
        f.value = "primecount";
        f.dispatchEvent(new Event("change", { bubbles: true })); })()''')
    page.until(lambda: page.eval(
        'document.getElementById("live").textContent') == 'live',
        'the stream with a filter')

    def filtered():
        job('kind=hashmix&id=4713')
        job('kind=primecount&id=4714&cost=20000')
        return page.eval(rows) > 0

    page.until(filtered, 'filtered decisions')
    page.pump(.5)
    text = page.eval('document.querySelector("#feed tbody").textContent')
    ok('the filter holds', '4714' not in text or 'hashmix' in text)
    page.eval('document.querySelector("#feed tbody button").click()')
    page.until(lambda: page.eval('document.getElementById("box").open')
               and 'would now' in page.eval(
                   'document.getElementById("box").textContent'),
               'the explanation')
    ok('a row explains itself')
    page.key('Escape')
    page.until(lambda: not page.eval('document.getElementById("box").open'),
               'the dialog to close')
    ok('Escape closes it')


def edits(page):
    field = 'document.querySelector("#set-batch_max_size input")'
    page.until(lambda: page.eval('!!' + field), 'fields')
    set_to = '''(value => { const f = %s; f.value = value;
        f.dispatchEvent(new Event("input")); })''' % field

    def value():
        return json.load(opener.open(TREE + 'api/config')
                         )['config']['batch_max_size']

    before = value()
    page.eval(set_to + '("16")')
    page.eval('document.getElementById("apply").click()')
    page.until(lambda: value() == 16, 'the change')
    ok('a setting is changed')
    page.until(lambda: 'runtime' in page.eval(
        'document.getElementById("set-batch_max_size").textContent')
        and 'differs from nginx.conf' in page.eval(
        'document.getElementById("attention").textContent'),
        'what says so')
    ok('the page says so')
    trouble = len(page.trouble)
    page.eval(set_to + '("1")')
    page.eval('document.getElementById("apply").click()')
    page.until(lambda: page.eval(
        'document.getElementById("cfg-note").className') == 'bad',
        'the refusal')
    ok('a wrong value is refused', value() != 16 and value())
    # the browser writes 422 to the console
    del page.trouble[trouble:]
    page.eval('document.getElementById("undo").click()')
    page.until(lambda: value() == before, 'the change to be undone')
    ok('it is undone')
    opener.open(urllib.request.Request(
        TREE + 'api/telemetry', b'{"pressure":0.2,"source":"gpu-7",'
        b'"ttl_ms":2500}', {'Content-Type': 'application/json'})).read()
    sources = 'document.getElementById("sources").textContent'
    page.until(lambda: 'gpu-7' in page.eval(sources), 'a source')
    ok('pressure from outside', 's left' not in page.eval(sources))
    page.until(lambda: page.eval(sources) == '', 'the source to end')
    ok('it ends')


def keyboard(page):
    page.open(TREE)
    page.until(lambda: page.eval('''(() => {
        const el = document.getElementById("copy");
        return el && el.offsetParent !== null })()'''), 'the settings')
    seen = []
    for n in range(40):
        page.key('Tab')
        seen.append(page.eval('''(() => { const el = document.activeElement;
            const s = getComputedStyle(el);
            return [el.id || el.getAttribute("aria-label") || el.tagName,
                s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2,
                el.getBoundingClientRect().top + scrollY,
                el.getBoundingClientRect().left]; })()'''))
        if seen[-1][0] == 'copy':
            break
    names = [s[0] for s in seen]
    ok('focus is visible', [s for s in seen if not s[1] and s[0] != 'BODY'])
    want = ['theme', 'help', 'pause', 'f-strategy', 'f-kind', 'f-reason']
    ok('focus order', [n for n in names if n in want] != want and names)
    was = page.eval('matchMedia && document.documentElement.dataset.theme')
    page.eval('document.activeElement.blur()')
    page.key('t')
    theme = page.eval('document.documentElement.dataset.theme')
    ok('t changes the theme', theme == was and was)
    contrast(page, 'the other theme')
    page.open(TREE)
    ok('the theme is remembered', page.eval(
        'document.documentElement.dataset.theme') != theme and theme)
    page.key('?')
    ok('? helps', not page.eval('document.getElementById("box").open')
       and 'no dialog')
    page.key('Escape')
    page.key('/')
    ok('/ goes to the filters', page.eval('document.activeElement.id')
       != 'f-strategy' and 'elsewhere')


def narrow(b):
    for script in (False, True):
        page = b.page(width=320, height=640, script=script)
        page.open(TREE)
        page.pump(1.5 if script else .1)
        metrics = page.call('Page.getLayoutMetrics')['cssContentSize']
        ok('320 wide, script %s: no scrolling sideways' % script,
           metrics['width'] > 320 and metrics)
        if script:
            ok('320 wide: targets of 24 pixels', page.eval(
                '''[...document.querySelectorAll("button, select, input")]
                .filter(el => el.checkVisibility() && !el.closest("#feed")
                    && Math.min(el.offsetHeight, el.offsetWidth) < 24)
                .map(el => el.id)'''))
        page.close()


def tree(page):
    """What a screen reader is told."""
    nodes = page.call('Accessibility.getFullAXTree')['nodes']
    roles = {}
    nameless = []
    for node in nodes:
        if node.get('ignored'):
            continue
        role = node['role']['value']
        name = node.get('name', {}).get('value', '')
        roles.setdefault(role, []).append(name)
        if role in ('button', 'combobox', 'textbox', 'table', 'region',
                    'image', 'link', 'dialog', 'navigation') and not name:
            nameless.append(role)
    ok('everything has a name', nameless)
    ok('landmarks', [r for r in ('main', 'banner', 'navigation', 'region')
                     if r not in roles])
    ok('one status', roles.get('status') and len(roles['status']) != 1
       and roles['status'])


def main():
    b = browser.Browser()
    try:
        page = b.page()
        page.open(TREE)
        page.until(lambda: page.eval('document.getElementById("live")'
                                     '.textContent') != 'connecting', 'life')
        moves(page)
        contrast(page, 'dark')
        ok('charts have a name', page.eval(
            '[...document.querySelectorAll(".chart")].filter('
            'el => !el.getAttribute("aria-label")).length'))
        page.call('Accessibility.enable')
        tree(page)
        streams(page)
        edits(page)
        keyboard(page)
        calm(page, 'script')
        page.close()

        page = b.page(scheme='light', motion='reduce')
        page.open(TREE)
        page.pump(1)
        ok('light, as the system says', page.eval(
            'getComputedStyle(document.body).backgroundColor')
            != 'rgb(244, 246, 248)' and 'not light')
        contrast(page, 'light')
        ok('nothing moves where none is wanted', page.eval(
            '[...document.querySelectorAll("*")].filter(el => parseFloat('
            'getComputedStyle(el).transitionDuration) > 0).length'))
        calm(page, 'light')
        page.close()

        page = b.page()
        page.open(READ_ONLY)
        page.pump(1)
        ok('read only: no field', page.eval(
            'document.querySelectorAll("#settings input, #settings select")'
            '.length'))
        ok('read only: it says why', 'write=on' not in page.eval(
            'document.getElementById("config-note").textContent'))
        calm(page, 'read only')
        page.close()

        narrow(b)
        without_script(b)
    except browser.Error as e:
        ok('the browser', e)
    finally:
        b.close()
    print('end', flush=True)


main()
