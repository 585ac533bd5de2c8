"use strict";
(() => {
/* Before the page is there: no flash of the other theme. */

const root = document.documentElement;
const store = {
    get(k) { try { return localStorage.getItem(k); } catch { return null; } },
    set(k, v) { try { localStorage.setItem(k, v); } catch { /* private */ } },
};
const dark = () => (root.dataset.theme ||
    (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"))
    === "dark";

root.classList.add("on");
if (/^(dark|light)$/.test(store.get("helix-theme")))
    root.dataset.theme = store.get("helix-theme");

const $ = id => document.getElementById(id);
const all = (query, from = document) => [...from.querySelectorAll(query)];
const make = (name, text, cls) => {
    const el = document.createElement(name);
    if (text !== undefined) el.textContent = text;
    if (cls) el.className = cls;
    return el;
};
const put = (el, text) => { if (el.textContent !== text) el.textContent = text; };

/* Numbers, as the server writes them. */

const format = {
    n: v => String(Math.floor(v)).replace(/\B(?=(\d{3})+$)/g, "\u202f"),
    1: v => v.toFixed(1),
    2: v => v.toFixed(2),
    p: v => v > 0 && v < 1e-4 ? "<0.01%"
        : (v * 100).toFixed(v > 0 && v < .01 ? 2 : 1) + "%",
    m: v => v >= 1e4 ? (v / 1e3).toFixed(1) + " s"
        : v.toFixed(v >= 100 ? 0 : v < 1 ? 3 : 1) + " ms",
    s: v => format.m(v * 1e3),
    b(v) {
        let i = 0;
        for (; v >= 1024 && i < 4; i++) v /= 1024;
        return v.toFixed(i ? 1 : 0) + " " + ["B", "kB", "MB", "GB", "TB"][i];
    },
    d(v) {
        const two = n => String(Math.floor(n)).padStart(2, "0");
        return (v >= 86400 ? Math.floor(v / 86400) + "d " : "")
            + [v / 3600 % 24, v / 60 % 60, v % 60].map(two).join(":");
    },
};
const show = (f, v) =>
    v > 0 || v === 0 && f !== "m" ? format[f](v) : "\u2013";

let places, bars, stats, history = {}, paused = false, source, timer, config;
const words = { ok: "Healthy", busy: "Busy", shedding: "Rejecting",
    draining: "Draining" };
const lanes = ["inline", "spawn", "cpu_pool", "batch"];

const path = (el, key) => {
    const p = el.closest("[data-p]")?.dataset.p;
    return (p ? p.split(/\.(.*)/, 2) : []).concat(key.split("."));
};
const dig = keys => keys.reduce((o, k) => o?.[k], stats);

/* One document of api/stats: everything that has a key gets its number. */

function update(doc) {
    const before = stats;
    stats = doc;
    const decided = Math.max(doc.received - doc.invalid, 1);
    for (const l of lanes)
        doc.strategies[l].share = doc.strategies[l].admitted / decided;
    doc.rate.share = doc.dropped / decided;
    for (const p of places) put(p.el, show(p.f, dig(p.keys)));
    for (const b of bars) {
        const v = dig(b[1]) / (b[2] ? dig(b[2]) : 1);
        b[0].setAttribute("width", Math.min(Math.max(v || 0, 0), 1) * 100 + "%");
    }
    if (root.dataset.status !== doc.status) {
        root.dataset.status = doc.status;
        const icon = document.querySelector("link[rel=icon]");
        icon.href = icon.href.replace(/#.*/, "#" + doc.status);
    }
    put($("word"), words[doc.status] || doc.status);
    put($("say"), doc.verdict);
    document.title = doc.status + " - helix " + doc.zone;
    $("attention").hidden = !doc.attention.length;
    rows($("attention").lastElementChild, doc.attention.map((text, i) => {
        const li = make("li"), a = make("a", text);
        a.href = "#" + doc.attention_see[i];
        li.append(a);
        return li;
    }));
    const reasons = Object.entries(doc.dropped_by_reason)
        .sort((a, b) => b[1] - a[1]);
    rows($("reasons").tBodies[0], reasons.map(([name, n]) => row(name,
        show("n", n), show("p", n / doc.dropped),
        show(1, before?.dropped_by_reason ? rate(doc, before,
            d => d.dropped_by_reason[name] || 0) : undefined))), () => {
        const td = make("td", "No job was rejected.");
        td.colSpan = 4;
        return td;
    });
    rows(document.querySelector("#workers tbody"), doc.workers.map(
        w => row(w.slot, w.pid, w.state, show("n", w.in_flight))));
    if (before && before.epoch === doc.epoch) remember(doc, before);
    if (doc.pressure.external > 0 || $("sources").children.length)
        outside().catch(() => {});
    if (before && Object.keys(before.kinds).join() !==
        Object.keys(doc.kinds).join()) location.reload();
    if (before && doc.config.generation !== before.config.generation)
        loadConfig();
    draw();
}
const rate = (a, b, f) =>
    Math.max(f(a) - f(b), 0) / Math.max((a.at - b.at) / 1e3, .2);
const row = (head, ...cells) => {
    const tr = make("tr"), th = make("th", head);
    th.scope = "row";
    tr.append(th, ...cells.map(c => make("td", c)));
    return tr;
};

/* Only what differs is put into the page: what is read out or selected there
   stays. */

function rows(body, list, none) {
    if (!list.length && none) {
        const tr = make("tr");
        tr.append(none());
        list = [tr];
    }
    list.forEach((el, i) => {
        const old = body.children[i];
        if (!old) body.append(el);
        else if (!old.isEqualNode(el)) old.replaceWith(el);
    });
    while (body.children.length > list.length) body.lastElementChild.remove();
}

async function outside() {
    const doc = await json("api/telemetry");
    rows($("sources"), doc.sources.map(s => row(s.source, show(2, s.pressure),
        Math.ceil(s.ttl_ms / 1e3) + " s left")));
}

/* Charts: the last 300 seconds, from api/history and then from the stats. */

async function loadHistory() {
    const h = await json("api/history");
    history = { ...h.routed, drop: h.dropped, pressure: h.pressure };
    draw();
}
function remember(doc, before) {
    const add = (name, v) => {
        const list = history[name] ||= [];
        list.push(v);
        if (list.length > 300) list.shift();
    };
    for (const l of lanes)
        add(l, rate(doc, before, d => d.strategies[l].admitted));
    add("drop", rate(doc, before, d => d.dropped));
    add("pressure", doc.pressure.value);
}
function chart(svg, list, top, line) {
    const ns = "http://www.w3.org/2000/svg";
    svg.setAttribute("viewBox", "0 0 300 100");
    svg.setAttribute("preserveAspectRatio", "none");
    const y = v => (98 - 96 * Math.min(v / top, 1)).toFixed(1);
    const from = 300 - list.length;
    const d = list.map((v, i) => `L${from + i} ${y(v || 0)}`).join("");
    const paths = [["a", `M${from} 98${d}L299 98z`],
        ["", "M" + d.slice(1)]];
    if (line) paths.push(["g", `M0 ${y(line)}H300`]);
    paths.forEach(([cls, d], i) => {
        const p = svg.children[i] ||
            svg.appendChild(document.createElementNS(ns, "path"));
        p.setAttribute("class", cls);
        p.setAttribute("d", d.length > 3 ? d : "M0 0");
    });
}
function draw() {
    if (document.hidden || !places) return;
    for (const svg of all(".spark")) {
        const list = history[svg.closest("tr").className] || [];
        chart(svg, list, Math.max(1, ...list));
    }
    for (const [id, name, top, line, text] of [
        ["c-drops", "drop", 1, 0, v => show(1, v) + "/s"],
        ["c-pressure", "pressure", 0, .7, v => show(2, v)]]) {
        const list = history[name] || [], max = Math.max(0, ...list);
        chart($(id), list, top ? Math.max(top, max) : 1, line);
        const caption = $(id).nextElementSibling;
        rows(caption, [make("span", "5 min"), make("span", "max " + text(max))]);
    }
}

/* What the server says: one stream of events, else by asking. */

async function json(url, options) {
    const r = await fetch(url, options);
    const doc = await r.json();
    if (!r.ok) throw Object.assign(new Error(doc.detail || doc.title), { doc });
    return doc;
}
function live(state, text) {
    $("live").className = "js " + state;
    put($("live"), text);
}
async function poll() {
    try {
        take(await json("api/stats"));
        if (!source) live("", "polling");
    } catch { live("off", "no answer"); }
}
const take = doc => { doc.at = Date.now(); update(doc); };
function connect() {
    disconnect();
    if (document.hidden) return;
    loadHistory().catch(() => {});
    poll();
    timer = setInterval(() => {
        if (!source || !stats || Date.now() - stats.at > 4000) poll();
    }, 2000);
    const query = ["strategy", "kind", "reason"].map(n =>
        $("f-" + n).value ? `&${n}=` + encodeURIComponent($("f-" + n).value)
            : "").join("");
    const es = new EventSource("api/stream/decisions?stats=1&done=0&rate=50"
        + query);
    let opened = false;
    es.onopen = () => { opened = true; source = es; live("on", "live"); };
    es.onerror = () => {
        source = undefined;
        live("", "reconnecting");
        if (es.readyState === 2 && opened) setTimeout(connect, 3000);
    };
    es.onmessage = e => decision(JSON.parse(e.data));
    es.addEventListener("gap", e => gap(JSON.parse(e.data)));
    es.addEventListener("stats", e => take(JSON.parse(e.data)));
    es.addEventListener("config", () => loadConfig());
    connect.es = es;
}
function disconnect() {
    connect.es?.close();
    source = undefined;
    clearInterval(timer);
}

/* Decisions: at most 200 rows, put in ten times a second. */

let waiting = [], missed = 0, painting;
function decision(d) {
    if (paused) return;
    waiting.push(d);
    painting ||= setTimeout(paint, 100);
}
function gap(g) {
    if (paused) return;
    missed += g.missed;
    put($("feed-note"), `${show("n", missed)} not shown, rate is at most 50/s`);
    waiting.push(g);
    painting ||= setTimeout(paint, 100);
}
function paint() {
    painting = 0;
    const body = $("feed").tBodies[0];
    const list = waiting.slice(-200).reverse();
    waiting = [];
    body.prepend(...list.map(d => {
        const tr = make("tr");
        if (d.missed !== undefined) {
            tr.className = "gap";
            tr.append(make("td", `${show("n", d.missed)} not shown: ${d.why}`));
            tr.firstChild.colSpan = 8;
            return tr;
        }
        const open = make("button", new Date(d.t * 1e3).toTimeString()
            .slice(0, 8));
        const time = make("td"), lane = make("td");
        open.type = "button";
        open.title = "Explain";
        time.append(open);
        lane.append(make("span", d.strategy, "s " + d.strategy));
        tr.append(time, make("td", d.id), make("td", d.kind),
            make("td", show("n", d.cost)),
            make("td", d.budget_ms ? d.budget_ms + " ms" : ""), lane,
            make("td", d.reason), make("td", show(2, d.pressure)));
        tr.onclick = () => explain(d);
        return tr;
    }));
    while (body.rows.length > 200) body.lastElementChild.remove();
}
function pause() {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", paused);
    put($("pause"), paused ? "Resume" : "Pause");
}

/* Dialogs. */

function box(title, ...content) {
    put($("box-h"), title);
    $("box").lastElementChild.replaceChildren(...content);
    if (!$("box").open) $("box").showModal();
}
function list(object) {
    const table = make("table");
    table.append(make("caption", ""));
    for (const [k, v] of Object.entries(object)) if (v !== undefined)
        table.append(row(k, typeof v === "object" ? JSON.stringify(v) : v));
    return table;
}
async function explain(d) {
    const said = { strategy: d.strategy, reason: d.reason, policy: d.policy,
        busy: d.busy, waiting: d.waiting, pressure: d.pressure,
        predicted_ms: d.predicted_ms };
    const content = [make("p", "As decided:"), list(said)];
    box(`Job ${d.id}, ${d.kind}`, ...content);
    const job = { kind: d.kind, cost: d.cost, scaling: d.scaling,
        budget_ms: d.budget_ms || undefined };
    try {
        const now = await json("api/explain", { method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify(job) });
        const would = make("ul");
        would.append(...now.would_change_if.map(t => make("li", t)));
        const lanes = {};
        for (const l of now.lanes || []) lanes[l.strategy] = l.verdict +
            (l.predicted_ms !== undefined ? `, ${l.predicted_ms} ms` : "");
        content.push(make("p", "The same job would now be:"),
            list({ strategy: now.strategy, reason: now.reason, ...lanes }),
            make("p", "It would be another:"), would);
    } catch (e) { content.push(make("p", e.message, "bad")); }
    box($("box-h").textContent, ...content);
}
function help() {
    box("Keys", list({ p: "pause or resume the decisions",
        "/": "to the filters", t: "dark or light", "?": "this" }));
}
function theme() {
    root.dataset.theme = dark() ? "light" : "dark";
    store.set("helix-theme", root.dataset.theme);
}

/* Settings: api/config, where the location allows writes. */

async function loadConfig() {
    if (all("#settings .changed").length) return;
    try { setConfig(await json("api/config")); } catch { /* not there */ }
}
const text = v => v === true ? "on" : v === false ? "off" : String(v);
function setConfig(doc) {
    config = doc;
    const write = root.dataset.write === "on";
    $("cfg").hidden = false;
    $("apply").hidden = $("undo").hidden = !write;
    for (const tr of $("settings").tBodies[0].rows) {
        const name = tr.id.slice(4), o = doc.origin[name] || {};
        const now = doc.effective[name];
        const value = text(doc.config[name]);
        tr.className = o.source === "runtime" ? "over" : "";
        put(tr.cells[3], (o.source || "") + (o.by ? ", " + o.by : "")
            + (now ? `; now ${now.now} by ${now.by}` : ""));
        let field = tr.cells[1].firstElementChild;
        if (!write || o.live === false) {
            put(tr.cells[1], value);
            continue;
        }
        if (!field) {
            field = make(/^o/.test(value) ? "select" : "input");
            if (field.options)
                field.append(...["on", "off"].map(t => make("option", t)));
            else field.inputMode = "decimal";
            field.setAttribute("aria-label", name);
            field.oninput = () => {
                field.classList.toggle("changed",
                    field.value !== text(config.config[name]));
                $("apply").disabled = !all("#settings .changed").length;
            };
            field.onkeydown = e => {
                if (e.key === "Enter") $("cfg").requestSubmit();
            };
            tr.cells[1].replaceChildren(field);
        }
        field.value = value;
        field.classList.remove("changed");
    }
    $("apply").disabled = true;
}
const note = (text, bad) => {
    put($("cfg-note"), text);
    $("cfg-note").className = bad ? "bad" : "";
};
let undo;
async function change(values) {
    const before = config;
    try {
        setConfig(await json("api/config", { method: "PATCH",
            headers: { "Content-Type": "application/json",
                "If-Match": config.etag }, body: JSON.stringify(values) }));
        undo = {};
        for (const name in values)
            undo[name] = before.origin[name]?.source === "runtime"
                ? before.config[name] : null;
        $("undo").disabled = false;
        note("Applied: " + Object.keys(values).join(", "));
    } catch (e) {
        const errors = e.doc?.errors?.map(x => x.text || x.field);
        note(errors ? errors.join("; ") : e.doc?.code === "Stale"
            ? "Somebody else has changed settings: load the page again"
            : e.message, true);
    }
}
function apply(e) {
    e.preventDefault();
    const values = {};
    for (const f of all("#settings .changed")) {
        const name = f.closest("tr").id.slice(4);
        values[name] = f.options ? f.value === "on"
            : f.value.trim() === "" ? null : Number(f.value);
        if (Number.isNaN(values[name]))
            return note(`${name}: a number is expected`, true);
    }
    if (Object.keys(values).length) change(values);
}
async function directives() {
    const text = await (await fetch("api/config?format=nginx")).text();
    box("For nginx.conf", make("pre", text));
    navigator.clipboard?.writeText(text).catch(() => {});
}

document.addEventListener("DOMContentLoaded", () => {
    places = all("[data-k]").map(el => {
        const [f, key] = el.dataset.k.split(":");
        return { el, f, keys: path(el, key) };
    });
    bars = all("[data-b]").map(el =>
        [el, ...el.dataset.b.split("/").map(key => path(el, key))]);
    $("theme").onclick = theme;
    $("help").onclick = help;
    $("pause").onclick = pause;
    $("undo").onclick = () => undo && change(undo);
    $("copy").onclick = directives;
    $("cfg").onsubmit = apply;
    $("filters").onsubmit = e => e.preventDefault();
    $("filters").onchange = () => {
        $("feed").tBodies[0].replaceChildren();
        connect();
    };
    document.addEventListener("keydown", e => {
        if (e.ctrlKey || e.metaKey || e.altKey || $("box").open
            || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
        const act = { p: pause, t: theme, "?": help,
            "/": () => $("f-strategy").focus() }[e.key];
        if (act) { e.preventDefault(); act(); }
    });
    document.addEventListener("visibilitychange", () =>
        document.hidden ? disconnect() : connect());
    connect();
    loadConfig();
});
})();
