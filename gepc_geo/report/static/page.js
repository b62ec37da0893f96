"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const joints = data.skeleton.joints, bones = data.skeleton.bones;
  const ABSENT = -32768;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const $ = (id) => document.getElementById(id);

  // Text from files stays text: elements are created by code, not parsed from HTML.
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class") element.className = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function bytes(text) {
    const raw = atob(text), array = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) array[i] = raw.charCodeAt(i);
    return array.buffer;
  }
  const floats = (text) => new Float32Array(bytes(text));
  const fixed = (value) => {
    const size = Math.abs(value);
    return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
  };
  const percent = (share) => {
    const value = 100 * share;
    return (value >= 9.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)) + " %";
  };
  const count = (number) => number.toLocaleString("en");
  const many = (number, one, more) => `${count(number)} ${number === 1 ? one : more}`;
  function time(seconds, digits = 1) {
    const unit = 10 ** digits, parts = Math.round(seconds * unit), minutes = Math.floor(parts / (60 * unit));
    return `${minutes}:${((parts - 60 * unit * minutes) / unit).toFixed(digits).padStart(digits ? 3 + digits : 2, "0")}`;
  }
  // Time and frame number of a moment, or of the moments from one to another.
  const moment = (clip, frame) => clip.fps ? `${time(frame / clip.fps)} · frame ${frame}` : `frame ${frame}`;
  const between = (clip, from, to) => clip.fps
    ? `${time(from / clip.fps)} to ${time(to / clip.fps)}, frames ${from} to ${to}` : `frames ${from} to ${to}`;

  // -- drawing ---------------------------------------------------------------------------------

  const SCALE = [[0, [150, 163, 176]], [0.3, [120, 130, 140]], [0.55, [236, 151, 31]], [1, [208, 24, 48]]];
  function colour(share) {
    // 1: four times the mean share of a joint.
    const t = Math.min(1, share * joints.length / 4);
    let i = 1;
    while (SCALE[i][0] < t) i++;
    const [low, from] = SCALE[i - 1], [high, to] = SCALE[i];
    const mix = from.map((c, k) => Math.round(c + (to[k] - c) * (t - low) / (high - low)));
    return `rgb(${mix})`;
  }
  document.querySelector(".legend i").style.background =
    `linear-gradient(90deg, ${[0, .25, .5, .75, 1].map((t) => colour(4 * t / joints.length))})`;

  function poses(packed) {
    const [people, frames, count] = packed.shape;
    return { people, frames, joints: count, width: packed.width, height: packed.height, xy: new Int16Array(bytes(packed.xy)) };
  }

  // Sizes a canvas to its size on the screen, in device pixels.
  function fit(canvas) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = canvas.clientWidth, height = canvas.clientHeight;
    const w = Math.round(width * ratio), h = Math.round(height * ratio);
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width, height };
  }

  // Draws a person in one frame; returns the top of the head, or null if the person is absent.
  function person(context, sequence, who, frame, place, look) {
    const at = (who * sequence.frames + frame) * sequence.joints * 2;
    if (sequence.xy[at] === ABSENT) return null;
    const points = [];
    for (let v = 0; v < sequence.joints; v++) {
      const x = sequence.xy[at + 2 * v], y = sequence.xy[at + 2 * v + 1];
      const seen = x >= 0;
      points.push([place.x + place.scale * (seen ? x : -1 - x), place.y + place.scale * y, seen]);
    }
    context.lineCap = "round";
    context.globalAlpha = look.alpha;
    for (const [a, b] of bones) {
      const [p, q] = [points[a], points[b]];
      if (look.shares) {
        const gradient = context.createLinearGradient(p[0], p[1], q[0], q[1]);
        gradient.addColorStop(0, colour(look.shares[a]));
        gradient.addColorStop(1, colour(look.shares[b]));
        context.strokeStyle = gradient;
      } else context.strokeStyle = look.colour;
      context.lineWidth = look.line;
      context.beginPath();
      context.moveTo(p[0], p[1]);
      context.lineTo(q[0], q[1]);
      context.stroke();
    }
    let top = points[0];
    points.forEach((point, v) => {
      if (point[1] < top[1]) top = point;
      const share = look.shares ? Math.min(1, look.shares[v] * joints.length / 4) : 0;
      const paint = look.shares ? colour(look.shares[v]) : look.colour;
      context.beginPath();
      context.arc(point[0], point[1], look.dot * (1 + 1.1 * share), 0, 2 * Math.PI);
      context.fillStyle = point[2] ? paint : "#fff";
      context.fill();
      if (!point[2]) {
        context.strokeStyle = paint;
        context.lineWidth = 1;
        context.stroke();
      }
    });
    context.globalAlpha = 1;
    return top;
  }

  function inside(sequence, x, y, width, height, edge) {
    const scale = Math.min((width - 2 * edge) / Math.max(sequence.width, 1), (height - 2 * edge) / Math.max(sequence.height, 1));
    return { x: x + (width - scale * sequence.width) / 2, y: y + (height - scale * sequence.height) / 2, scale };
  }

  // Middle and size of a person in one frame; null if the person is absent.
  function box(sequence, who, frame) {
    const at = (who * sequence.frames + frame) * sequence.joints * 2;
    if (sequence.xy[at] === ABSENT) return null;
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let v = 0; v < sequence.joints; v++) {
      const raw = sequence.xy[at + 2 * v], x = raw >= 0 ? raw : -1 - raw, y = sequence.xy[at + 2 * v + 1];
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
    }
    return { x: (left + right) / 2, y: (top + bottom) / 2, width: right - left, height: bottom - top };
  }

  // Largest width and height of a person: one scale for all frames, so a person who falls does not grow.
  function extent(sequence, who) {
    const largest = { width: 1, height: 1 };
    for (let t = 0; t < sequence.frames; t++) {
      const about = box(sequence, who, t);
      if (!about) continue;
      largest.width = Math.max(largest.width, about.width);
      largest.height = Math.max(largest.height, about.height);
    }
    return largest;
  }

  // A person in the middle of an area; marks on the ground move instead.
  function portrait(context, area, sequence, who, frame, look, size = extent(sequence, who)) {
    const about = box(sequence, who, frame);
    if (!about) return;
    const step = Math.max(size.width, size.height) / 2;
    const scale = Math.min((area.width - 16) / size.width, (area.height - 28) / size.height);
    const at = { x: area.x + area.width / 2 - scale * about.x, y: area.y + area.height / 2 - 4 - scale * about.y, scale };
    context.fillStyle = "#b9c3cc";
    for (let k = Math.ceil((area.x + 6 - at.x) / (scale * step)); at.x + k * scale * step < area.x + area.width - 6; k++) {
      context.fillRect(at.x + k * scale * step - 4, area.y + area.height - 7, 8, 2);
    }
    person(context, sequence, who, frame, at, look);
  }

  // Sequences of one person each, side by side, with the same clock.
  function parade(canvas, sequence, only, frame) {
    const { context, width, height } = fit(canvas);
    const shown = only === null ? [...Array(sequence.people).keys()] : [only];
    shown.forEach((who, i) => {
      const area = { x: i * width / shown.length, y: 0, width: width / shown.length, height };
      portrait(context, area, sequence, who, frame, { alpha: 1, colour: "#1f5f99", line: 3, dot: 2.4 });
    });
  }

  // -- pictures of peaks ---------------------------------------------------------------------------

  const pictures = new Map();
  // Draws the picture of a scene into an area; it is faint while the people are at other moments.
  function backdrop(context, one, frame, place, area) {
    const about = one.picture;
    if (!about) return;
    let picture = pictures.get(one);
    if (!picture) {
      picture = new Image();
      pictures.set(one, picture);
      picture.addEventListener("load", () => draw());
      picture.src = about.src;
    }
    if (!picture.complete || !picture.naturalWidth) return;
    context.save();
    context.beginPath();
    context.rect(area.x, area.y, area.width, area.height);
    context.clip();
    context.globalAlpha = frame === about.frame ? 0.85 : 0.25;
    context.drawImage(picture, place.x + place.scale * about.x, place.y + place.scale * about.y, place.scale * about.width, place.scale * about.height);
    context.restore();
  }

  // A light edge, so that text can be read on a picture.
  function halo(context, text, x, y) {
    context.strokeStyle = "rgba(255, 255, 255, 0.85)";
    context.lineWidth = 3.5;
    context.lineJoin = "round";
    context.strokeText(text, x, y);
  }

  // -- animation: one clock, and only for visible canvases ---------------------------------------

  const moving = new Set();
  let last = null;
  function tick(now) {
    const passed = last === null ? 0 : Math.min(now - last, 100) / 1000;
    last = now;
    for (const one of moving) one(passed);
    if (moving.size) requestAnimationFrame(tick);
    else last = null;
  }
  function start(one) {
    const idle = !moving.size;
    moving.add(one);
    if (idle) requestAnimationFrame(tick);
  }
  const stop = (one) => moving.delete(one);

  // -- head --------------------------------------------------------------------------------------

  const about = data.about, totals = data.totals;
  $("lead").textContent = `Poses “${about.data || "without a name"}”, scored by the run “${about.run || "without a name"}”.`;
  const seconds = data.clips.every((clip) => clip.fps) && totals.clips === data.clips.length
    ? data.clips.reduce((sum, clip) => sum + clip.length / clip.fps, 0) : null;
  const length = seconds === null ? null
    : seconds < 120 ? `${seconds.toFixed(0)} s` : seconds < 7200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
  for (const [name, value, kind] of [
    ["clips", count(totals.clips), ""],
    ["people", count(totals.people), ""],
    ["length", length || `${count(totals.frames)} frames`, ""],
    ["alarms", totals.alarms === null ? null : count(totals.alarms), "alarm"],
    ["labelled abnormal", totals.abnormal === null ? null : percent(totals.abnormal / (data.level === "frame" ? totals.frames : totals.clips)), ""],
    ["AUC", data.quality ? data.quality.auc.toFixed(3) : null, ""],
  ]) if (value !== null) $("totals").append(make("div", { class: kind }, make("dt", {}, name), make("dd", {}, value)));

  $("judged").textContent = data.states.sentence;
  $("judged-help").append(...data.states.help.map((sentence) => make("li", {}, sentence)));

  // -- clips -------------------------------------------------------------------------------------

  let chosen = null, scene = null, sequence = null, neighbours = null, focus = 0, frame = 0, clock = 0, closeup = null;
  const frames = data.level === "frame";
  const lines = data.clips.map((clip) => ({ x: floats(clip.x), y: floats(clip.y) }));
  const levels = lines.map((line) => line.y.filter(Number.isFinite)).filter((known) => known.length);
  const lowest = Math.min(...levels.map((known) => Math.min(...known)), levels.length ? Infinity : 0);
  const highest = Math.max(...levels.map((known) => Math.max(...known)), data.threshold === null ? lowest : data.threshold);
  // Why somebody who is there was not judged, by the number of the state.
  const UNJUDGED = {
    1: { name: "too short to be judged", paint: "#8794a1", shape: "/" },
    2: { name: "tracking fault", paint: "#e08a00", shape: "\\" },
  };

  function spark(number) {
    const NS = "http://www.w3.org/2000/svg", line = lines[number], clip = data.clips[number];
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("viewBox", "0 0 72 22");
    svg.setAttribute("aria-hidden", "true");
    const across = (f) => 72 * f / Math.max(clip.length - 1, 1);
    const up = (s) => 21 - 20 * (s - lowest) / Math.max(highest - lowest, 1e-9);
    // Shaded pixel by pixel: there may be more spans than pixels.
    function shade(spans, paint, top, height) {
      const shaded = new Set();
      for (const [from, to] of spans) for (let x = Math.floor(across(from)); x < Math.max(across(to), across(from) + 1); x++) shaded.add(x);
      const area = document.createElementNS(NS, "path");
      area.setAttribute("d", [...shaded].map((x) => `M${x} ${top}h1v${height}h-1z`).join(""));
      area.setAttribute("fill", paint);
      svg.append(area);
    }
    shade(clip.abnormal, "#f6ccd1", 0, 22);
    for (const [state, look] of Object.entries(UNJUDGED)) shade(clip.unjudged.filter((span) => span[2] === Number(state)), look.paint, 18, 4);
    const path = document.createElementNS(NS, "path");
    // The highest point of each pixel; the line begins anew after a gap.
    const pixels = new Map();
    let broken = true;
    line.x.forEach((x, i) => {
      const pixel = Math.round(across(x)), y = line.y[i];
      if (Number.isFinite(y)) {
        const before = pixels.get(pixel);
        pixels.set(pixel, { y: Math.max(before ? before.y : -Infinity, y), broken: before ? before.broken : broken });
      }
      broken = !Number.isFinite(y);
    });
    path.setAttribute("d", [...pixels].map(([x, one]) => `${one.broken ? `M${x} ${up(one.y).toFixed(1)}h.5` : ""}L${x} ${up(one.y).toFixed(1)}`).join(""));
    path.setAttribute("fill", "none");
    path.setAttribute("stroke", "#1f5f99");
    svg.append(path);
    return svg;
  }

  const rows = data.clips.map((clip, number) => {
    const over = data.threshold !== null && clip.top !== null && clip.top >= data.threshold;
    const picture = frames ? spark(number) : make("span", {}, clip.class);
    const button = make("button", { type: "button", class: over ? "over" : "", title: clip.name },
      make("span", { class: "name" }, clip.name), picture,
      make("span", { class: clip.top === null ? "top none" : "top" }, clip.top === null ? clip.state || "no frames" : fixed(clip.top)));
    button.addEventListener("click", () => choose(number));
    const row = make("li", {}, button);
    $("list").append(row);
    return row;
  });
  $("list").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const open = rows.filter((row) => !row.hidden);
    const next = open[open.indexOf(document.activeElement.parentElement) + step];
    if (next) next.firstChild.focus();
  });
  $("find").addEventListener("input", () => {
    const wanted = $("find").value.trim().toLowerCase();
    data.clips.forEach((clip, i) => { rows[i].hidden = !clip.name.toLowerCase().includes(wanted); });
  });
  $("list-note").textContent = (totals.clips > data.clips.length
    ? `The ${data.clips.length} of ${count(totals.clips)} clips with the highest scores. ` : "") +
    (frames ? "The line and the highest score of each clip." : "The score of each clip.");

  const BASE = { displayModeBar: false, responsive: true };
  const narrow = () => window.innerWidth <= 760;
  function layout(more) {
    return Object.assign({
      margin: { l: 52, r: 12, t: 12, b: 44 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
      font: { family: "system-ui, sans-serif", size: 13, color: "#1c2733" }, showlegend: false,
      // On touch screens, a move over a chart scrolls the page.
      dragmode: narrow() ? false : "zoom", hoverlabel: { bgcolor: "#fff" },
    }, more);
  }
  const axis = (text, more) => Object.assign({ title: { text }, gridcolor: "#e8ecf0", zeroline: false, automargin: true }, more);
  const chart = $("timeline");
  let bound = false;

  // Round times, each with its frame number, in a part of a clip.
  const SECONDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  function ticks(clip, from, to) {
    const rate = clip.fps || 1, wanted = (to - from) / rate / (narrow() ? 4 : 9);
    const decade = 10 ** Math.max(Math.floor(Math.log10(wanted)), 0);
    const steps = clip.fps ? SECONDS : [1, 2, 5, 10].map((one) => one * decade);
    const step = steps.find((one) => one >= wanted) || steps[steps.length - 1];
    const values = [];
    for (let k = Math.ceil(from / rate / step); k * step * rate <= to + 1e-6; k++) values.push(k * step);
    return {
      tickvals: values.map((value) => value * rate),
      ticktext: values.map((value) => clip.fps ? `${time(value, step < 1 ? 1 : 0)}<br>${Math.round(value * rate)}` : `${value}`),
    };
  }

  // Explains the marks that the line of a clip has.
  function key(clip) {
    const item = (kind, text) => make("li", {}, make("i", { class: kind, "aria-hidden": "true" }), text);
    const present = new Set(clip.unjudged.map((span) => span[2]));
    const high = clip.peaks.map((number) => data.threshold === null || data.scenes[number].value < data.threshold);
    $("key").replaceChildren(...[
      data.threshold !== null && item("dashed", `threshold ${fixed(data.threshold)}`),
      high.includes(false) && item("dot over", "peak at or above the threshold"),
      high.includes(true) && item("dot", data.threshold === null ? "peak" : "peak below the threshold"),
      clip.abnormal.length && item("abnormal", "labelled abnormal"),
      present.has(1) && item("short", "somebody is there, not judged: too short"),
      present.has(2) && item("fault", "somebody is there, not judged: tracking fault"),
      clip.nobody && item("gap", "gap: nobody is there"),
    ].filter(Boolean));
  }

  function timeline() {
    const clip = data.clips[chosen], line = lines[chosen], end = Math.max(clip.length - 1, 1);
    const marked = clip.peaks.map((number) => data.scenes[number]);
    const current = clip.peaks.indexOf(scene);
    const shapes = clip.abnormal.map(([from, to]) => ({
      type: "rect", xref: "x", yref: "paper", x0: from - 0.5, x1: to - 0.5, y0: 0, y1: 1,
      fillcolor: "#f6ccd1", opacity: 0.75, line: { width: 0 }, layer: "below",
    }));
    if (data.threshold !== null) shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: data.threshold, y1: data.threshold, line: { color: "#5a6875", width: 1.5, dash: "dash" } });
    const pad = 0.08 * Math.max(highest - lowest, 1e-9);
    const bands = Object.entries(UNJUDGED).map(([state, look]) => {
      const spans = clip.unjudged.filter((span) => span[2] === Number(state));
      return {
        type: "bar", yaxis: "y2", x: spans.map(([from, to]) => (from + to - 1) / 2), width: spans.map(([from, to]) => to - from), y: spans.map(() => 1),
        marker: { color: look.paint, opacity: 0.45, line: { width: 0 }, pattern: { shape: look.shape, fgcolor: look.paint, bgcolor: "#fff", size: 7, solidity: 0.35 } },
        customdata: spans.map(([from, to]) => between(clip, from, to - 1)), hovertemplate: `not judged: ${look.name}<br>%{customdata}<extra></extra>`,
      };
    });
    const score = Array.from(line.y, (y) => Number.isFinite(y) ? y : null), when = Array.from(line.x, (f) => moment(clip, f));
    // A judged frame between gaps is a point.
    const alone = [...score.keys()].filter((i) => score[i] !== null && (score[i - 1] ?? null) === null && (score[i + 1] ?? null) === null);
    Plotly.react(chart, [
      ...bands,
      { x: Array.from(line.x), y: score, customdata: when, mode: "lines", line: { color: "#1f5f99", width: 1.8 }, hovertemplate: "score %{y:.2f}<br>%{customdata}<extra></extra>" },
      { x: alone.map((i) => line.x[i]), y: alone.map((i) => score[i]), customdata: alone.map((i) => when[i]), mode: "markers", marker: { color: "#1f5f99", size: 4 }, hovertemplate: "score %{y:.2f}<br>%{customdata}<extra></extra>" },
      { x: marked.map((one) => one.frame), y: marked.map((one) => one.value), customdata: marked.map((one) => `${moment(clip, one.frame)} · person ${one.people[0].id}`), mode: "markers", cliponaxis: false,
        marker: { opacity: 1, size: marked.map((_, i) => i === current ? 17 : 12), color: marked.map((one) => data.threshold !== null && one.value >= data.threshold ? "#c92a3c" : "#e08a00"), line: { color: marked.map((_, i) => i === current ? "#1c2733" : "#fff"), width: 2 } },
        hovertemplate: "peak %{y:.2f}: click to see it<br>%{customdata}<extra></extra>" },
    ], layout({
      xaxis: axis(clip.fps ? "minutes:seconds, and frame" : "frame", { range: [0, end], ...ticks(clip, 0, end), tickangle: 0 }),
      yaxis: axis("score", { range: [lowest - pad, highest + 2 * pad], overlaying: "y2", tickmode: "auto" }),
      yaxis2: { visible: false, range: [0, 1], fixedrange: true }, bargap: 0, barmode: "overlay", shapes, hovermode: "closest",
    }), BASE);
    bind((point) => nearest(point.x));
    chart.setAttribute("aria-label", `Score of the clip ${clip.name} over time, ${many(marked.length, "peak", "peaks")} marked`);
    key(clip);
  }

  function bars() {
    const paint = { 1: "#c92a3c", 0: "#1f5f99", "-1": "#7a8793" };
    Plotly.react(chart, [{
      type: "bar", x: data.clips.map((_, i) => i + 1), y: data.clips.map((clip) => clip.top),
      marker: { color: data.clips.map((clip) => paint[clip.label]), line: { color: "#1c2733", width: data.clips.map((_, i) => i === chosen ? 3 : 0) } },
      text: data.clips.map((clip) => plain(clip.name)), textposition: "none", hovertemplate: "%{text}: %{y:.2f}<extra></extra>",
    }], layout({ xaxis: axis("clips, highest score first"), yaxis: axis("score"), hovermode: "closest" }), BASE);
    bind((point) => { choose(Math.round(point.x) - 1, true); });
    chart.setAttribute("aria-label", "Scores of all listed clips, highest first");
  }

  function bind(act) {
    if (!bound) {
      chart.on("plotly_click", (event) => chart.act(event.points[0]));
      // Ticks of the part that a drag selects.
      chart.on("plotly_relayout", (change) => {
        if (!frames || !("xaxis.range[0]" in change || "xaxis.autorange" in change)) return;
        const clip = data.clips[chosen], shown = ticks(clip, ...chart.layout.xaxis.range);
        Plotly.relayout(chart, { "xaxis.tickvals": shown.tickvals, "xaxis.ticktext": shown.ticktext });
      });
    }
    bound = true;
    chart.act = act;
  }
  // A click anywhere on the line selects the nearest peak in time.
  function nearest(at) {
    const near = [...data.clips[chosen].peaks].sort((a, b) => Math.abs(data.scenes[a].frame - at) - Math.abs(data.scenes[b].frame - at));
    if (near.length) show(near[0], true);
  }
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (!frames) {
        choose(Math.min(Math.max(chosen + step, 0), data.clips.length - 1));
        return;
      }
      const order = [...data.clips[chosen].peaks].sort((a, b) => data.scenes[a].frame - data.scenes[b].frame);
      const next = order[order.indexOf(scene) + step];
      if (next !== undefined) show(next, false);
    } else if (event.key === "Enter" && scene !== null) {
      event.preventDefault();
      play(true);
    } else if (event.key === " " && scene !== null) {
      event.preventDefault();
      play(!playing());
    }
  });

  function choose(number, go = false) {
    chosen = number;
    const clip = data.clips[number];
    rows.forEach((row, i) => row.firstChild.setAttribute("aria-current", String(i === number)));
    // Scrolls the list, not the page.
    const row = rows[number], list = $("list");
    if (row.offsetTop < list.scrollTop || row.offsetTop + row.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = row.offsetTop - list.clientHeight / 2;
    $("clip-name").textContent = clip.name;
    const parts = [clip.fps ? `${time(clip.length / clip.fps)} long, ${many(clip.length, "frame", "frames")}, ${+clip.fps.toFixed(2)} a second` : `${many(clip.length, "frame", "frames")}, unknown rate`];
    if (clip.class) parts.push(`class ${clip.class}`);
    if (frames) parts.push(clip.judged === clip.length ? "all judged" : `${count(clip.judged)} judged`);
    else if (clip.top === null) parts.push(clip.state === "nobody" ? "nobody is there" : `not judged: ${clip.state}`);
    if (clip.alarmed !== null && clip.judged) parts.push(clip.alarmed ? `above the threshold in ${percent(clip.alarmed / clip.judged)} of the judged frames` : "never above the threshold");
    if (frames) parts.push(!clip.labelled ? "without labels" : clip.abnormal.length ? "labelled" : "all frames labelled normal");
    else if (clip.label >= 0) parts.push(clip.label ? "labelled abnormal" : "labelled normal");
    $("clip-note").textContent = parts.join(" · ");
    $("peaks").replaceChildren(...clip.peaks.map(card));
    $("faults").replaceChildren(...clip.faults.map(card));
    $("faulty").hidden = !clip.faults.length;
    $("timeline-help").textContent = !frames ? "Click a bar to see that clip. Red: labelled abnormal." : clip.peaks.length
      ? "Click a marked peak to see its people."
      : !clip.length ? "This clip has no frames." : !clip.judged ? "Nobody was judged in this clip." : "The peaks of this clip are left out to limit the size of the page.";
    show([...clip.peaks, ...clip.faults, null][0], go);
  }

  // Button of a peak: when, who, what; in print it has a picture.
  function card(number) {
    const peak = data.scenes[number], first = peak.people[0], clip = data.clips[peak.clip];
    const over = !peak.fault && data.threshold !== null && peak.value >= data.threshold;
    const button = make("button", { type: "button", class: `${peak.fault ? "faulty" : "peak"}${over ? " over" : ""}`, "data-scene": number },
      make("canvas", { class: "still", width: 320, height: 320, "aria-hidden": "true" }),
      make("span", { class: "when" }, `${frames ? `${moment(clip, peak.frame)} · ` : ""}person ${first.id}`, make("b", {}, fixed(peak.value))),
      make("small", {}, peak.fault ? `tracking fault: ${peak.fault}` : peak.event && peak.event.near ? `near a tracking fault: ${peak.event.near}` : peak.why || `mainly ${main(first).map((v) => spoken(joints[v])).join(", ")}`));
    button.addEventListener("click", () => {
      show(number, true);
      canvas.scrollIntoView({ block: "nearest" });
    });
    return button;
  }

  // -- the scene ---------------------------------------------------------------------------------

  const canvas = $("player");
  const spoken = (name) => name.replace(/_/g, " ");
  // The three joints with the largest shares.
  const main = (each) => joints.map((_, v) => v).sort((a, b) => each.shares[b] - each.shares[a]).slice(0, 3);
  const advance = (passed) => {
    if (!sequence) return;
    const rate = (data.clips[chosen].fps || 12) * Number($("speed").value);
    clock = (clock + passed * rate) % sequence.frames;
    if (Math.floor(clock) !== frame) seek(Math.floor(clock));
  };
  const playing = () => moving.has(advance);
  function play(on) {
    if (on && sequence) start(advance);
    else stop(advance);
    $("play").textContent = playing() ? "Pause" : "Play";
  }
  function seek(to) {
    frame = to;
    if (Math.floor(clock) !== to) clock = to;
    $("time").value = to;
    draw();
  }

  function show(number, go) {
    scene = number;
    for (const button of document.querySelectorAll(".moments button")) button.setAttribute("aria-pressed", String(Number(button.dataset.scene) === number));
    if (frames) timeline();
    else bars();
    const none = number === null;
    document.querySelector(".stage").hidden = none;
    sequence = none ? null : poses(data.scenes[number].poses);
    play(false);
    if (none) return;
    const one = data.scenes[number];
    neighbours = one.normal ? poses(one.normal) : null;
    const box = $("normal");
    box.replaceChildren();
    for (let i = 0; neighbours && i < neighbours.people; i++) box.append(make("canvas", { role: "img", "aria-label": `Normal movement ${i + 1}, moving with the scene` }));
    $("normal-note").textContent = neighbours ? "From training, nearest first, each of another person."
      : about.train || "There are no training poses to compare with (option --train).";
    const people = $("people");
    people.replaceChildren();
    one.people.forEach((each, i) => {
      const button = make("button", { type: "button" }, `person ${each.id} · ${each.fault ? "tracking fault" : fixed(each.score)}`);
      button.addEventListener("click", () => look(i));
      people.append(button);
    });
    people.hidden = one.people.length < 2;
    $("time").max = sequence.frames - 1;
    clock = 0;
    frame = 0;
    look(0);
    seek(Math.min(one.picture ? one.picture.frame : one.people[0].from, sequence.frames - 1));
    play(go);
  }

  function look(who) {
    focus = who;
    closeup = extent(sequence, who);
    [...$("people").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === who)));
    const one = data.scenes[scene], each = one.people[who], clip = data.clips[chosen];
    const parts = main(each).map((v) => `${spoken(joints[v])} ${percent(each.shares[v])}`).join(", ");
    const when = frames ? between(clip, one.start + each.from, one.start + each.to) : "the whole clip";
    const role = each.fault ? `was not judged (tracking fault${who === 0 && one.fault ? `: ${one.fault}` : ""})`
      : who === 0 ? (frames ? "has the score of this frame" : "has the score of this clip") : "is in the scene";
    $("caption").textContent = `Person ${each.id} ${role}; window score ${fixed(each.score)} (${when}). ${who === 0 ? story(one, clip) : ""}Largest shares: ${parts}.`;
    canvas.setAttribute("aria-label", `Skeletons of ${many(one.people.length, "person", "people")}, moving. ${$("caption").textContent}`);
    draw();
  }

  function draw() {
    if (!sequence) return;
    const one = data.scenes[scene], { context, width, height } = fit(canvas);
    // The whole scene, and next to it (on narrow screens above it) the selected person.
    const wide = width > 560;
    const [left, top] = wide ? [0.62 * width, height] : [width, 0.42 * height];
    const place = inside(sequence, 0, wide ? 0 : height - top, left, top - 10, 26);
    backdrop(context, one, frame, place, { x: 0, y: wide ? 0 : height - top, width: left, height: top });
    const order = one.people.map((_, i) => i).filter((i) => i !== focus).concat(focus), heads = [];
    for (const who of order) {
      const each = one.people[who], own = who === focus;
      const head = person(context, sequence, who, frame, place, own
        ? { alpha: 1, shares: each.shares, line: 3.5, dot: 2.4 } : { alpha: 0.65, colour: one.picture ? "#1f5f99" : "#9fb0bf", line: 2.2, dot: 1.6 });
      if (head) heads.unshift({ head, own, text: `${each.id}` });
    }
    names(context, heads, left);
    const near = wide ? { x: left, y: 0, width: width - left, height: height - 14 } : { x: 0, y: 0, width, height: height - top };
    context.fillStyle = "#fff";
    context.fillRect(near.x, near.y, near.width, near.height);
    context.fillStyle = "#d9e0e6";
    if (wide) context.fillRect(left, 0, 1, near.height);
    else context.fillRect(0, near.height, width, 1);
    const about = box(sequence, focus, frame);
    if (about) {
      const scale = Math.min((near.width - 40) / closeup.width, (near.height - 64) / closeup.height);
      const at = { x: near.x + near.width / 2 - scale * about.x, y: near.y + near.height / 2 + 10 - scale * about.y, scale };
      backdrop(context, one, frame, at, near);
      person(context, sequence, focus, frame, at, { alpha: 1, shares: one.people[focus].shares, line: 6, dot: 4 });
    }
    const who = `person ${one.people[focus].id}${about ? "" : ": not in view"}`;
    context.fillStyle = "#5a6875";
    context.font = "13px system-ui, sans-serif";
    context.textAlign = "left";
    if (one.picture) halo(context, who, near.x + 10, 20);
    context.fillText(who, near.x + 10, 20);
    // Marks the scored window on the time line.
    const each = one.people[focus], step = (width - 24) / Math.max(sequence.frames - 1, 1);
    context.fillStyle = "#d9e0e6";
    context.fillRect(12, height - 9, width - 24, 3);
    context.fillStyle = "#c92a3c";
    context.fillRect(12 + step * each.from, height - 9, step * (Math.min(each.to, sequence.frames - 1) - each.from), 3);
    context.beginPath();
    context.arc(12 + step * frame, height - 7.5, 4.5, 0, 2 * Math.PI);
    context.fillStyle = "#1c2733";
    context.fill();
    const clip = data.clips[chosen];
    $("clock").textContent = frames ? moment(clip, one.start + frame) : `${frame + 1} of ${sequence.frames}`;
    if (neighbours) [...$("normal").children].forEach((small, i) => parade(small, neighbours, i, frame % neighbours.frames));
  }

  // Ids above or beside heads. The first ones come first; an id without a free place is left out.
  function names(context, heads, width) {
    const taken = [];
    context.textAlign = "center";
    context.lineJoin = "round";
    for (const { head, own, text } of heads) {
      context.font = `${own ? "600 " : ""}13px system-ui, sans-serif`;
      const half = context.measureText(text).width / 2 + 2;
      for (const [across, up] of [[0, 10], [half + 8, 2], [-half - 8, 2], [0, 25], [half + 8, 17], [-half - 8, 17], [0, 40]]) {
        const x = Math.min(Math.max(head[0] + across, half), width - half), y = Math.max(head[1] - up, 14);
        const here = [x - half, y - 11, x + half, y + 3];
        if (taken.some((one) => here[0] < one[2] && one[0] < here[2] && here[1] < one[3] && one[1] < here[3])) continue;
        taken.push(here);
        if (up > 20) {
          context.fillStyle = "#b9c3cc";
          context.fillRect(head[0] - 0.5, y + 4, 1, Math.max(head[1] - y - 8, 0));
        }
        context.strokeStyle = "#fff";
        context.lineWidth = 3;
        context.strokeText(text, x, y);
        context.fillStyle = own ? "#1c2733" : "#5a6875";
        context.fillText(text, x, y);
        break;
      }
    }
  }

  $("play").addEventListener("click", () => play(!playing()));
  canvas.addEventListener("click", () => play(!playing()));
  $("time").addEventListener("input", () => {
    play(false);
    seek(Number($("time").value));
  });

  // -- action words ------------------------------------------------------------------------------

  const trained = data.words_from === "training";
  const found = data.words_by === "network" ? "learned in training" : "that are groups of similar windows (k-means, because this run has no network)";
  $("words-note").textContent = `Movements in windows of ${data.words_length} frames, in ${many(data.words.length, "word", "words")} ${found}, ` +
    `with the most typical sequences of each (${trained ? "from training" : "from these clips: " + (about.train || "there are no training poses")}).`;
  const most = Math.max(...data.words.map((word) => Math.max(word.share, word.seen || 0)), 1e-9);
  const walkers = new Map();
  let still = calm;
  const seeing = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const one = walkers.get(entry.target);
      one.visible = entry.isIntersecting;
      if (one.visible) one.draw();
      if (one.visible && !still) start(one.advance);
      else stop(one.advance);
    }
  });
  data.words.forEach((word, number) => {
    const ratio = word.seen !== null && word.share ? word.seen / word.share : null;
    const title = make("h3", {}, word.name ? `${number + 1}: ${word.name}` : `Word ${number + 1}`);
    if (ratio !== null && ratio >= 1.5 && word.seen >= 0.01) title.append(make("span", {}, `${ratio.toFixed(1)} × as often here`));
    const entries = make("dl");
    for (const [name, share, kind] of [[trained ? "training" : "these clips", word.share, ""], ["these clips", word.seen, "here"]]) {
      if (share === null) continue;
      const bar = make("i", { class: kind });
      bar.style.width = `${100 * share / most}%`;
      entries.append(make("dt", {}, name), make("div", { class: "bar" }, bar), make("dd", {}, percent(share)));
    }
    const card = make("article", { class: "word" }, title);
    if (word.poses) {
      const picture = make("canvas", { role: "img", "aria-label": `${many(word.poses.shape[0], "typical sequence", "typical sequences")} of word ${number + 1}${word.name ? ` (${word.name})` : ""}, moving` });
      const shown = poses(word.poses), one = { clock: 0, frame: 0, visible: false };
      one.draw = () => parade(picture, shown, null, one.frame);
      one.advance = (passed) => {
        // A pause between end and start.
        one.clock = (one.clock + 10 * passed) % (shown.frames + 4);
        const next = Math.min(Math.floor(one.clock), shown.frames - 1);
        if (next !== one.frame) {
          one.frame = next;
          one.draw();
        }
      };
      walkers.set(picture, one);
      card.append(picture);
      seeing.observe(picture);
    } else card.append(make("p", { class: "note" }, word.share ? "Left out to limit the size of the page." : "No window belongs to this word."));
    card.append(entries);
    $("words").append(card);
  });
  function rest(on) {
    still = on;
    $("pause").textContent = still ? "Play the words" : "Pause the words";
    for (const one of walkers.values()) {
      if (one.visible && !still) start(one.advance);
      else stop(one.advance);
    }
  }
  $("pause").addEventListener("click", () => rest(!still));
  rest(still);

  // -- how good ----------------------------------------------------------------------------------

  const scale = data.histogram, middle = scale.edges.slice(1).map((edge, i) => (edge + scale.edges[i]) / 2);
  const paint = { normal: "#1f5f99", abnormal: "#c92a3c", unlabelled: "#7a8793" };
  const shapes = data.threshold === null ? [] : [{ type: "line", yref: "paper", x0: data.threshold, x1: data.threshold, y0: 0, y1: 1, line: { color: "#5a6875", dash: "dash", width: 1.5 } }];
  const kinds = Object.entries(scale.counts);
  Plotly.newPlot($("histogram"), kinds.map(([kind, counts]) => {
    const total = counts.reduce((a, b) => a + b, 0);
    return { type: "bar", name: kind, x: middle, y: counts.map((c) => c / total), width: scale.edges[1] - scale.edges[0], opacity: 0.6, marker: { color: paint[kind] }, hovertemplate: "%{y:.1%} near %{x:.2f}" };
  }), layout({ barmode: "overlay", bargap: 0, shapes, showlegend: kinds.length > 1, legend: { x: 1, xanchor: "right", y: 1 }, xaxis: axis("score"), yaxis: axis("share", { tickformat: ".0%" }) }), BASE);
  const things = frames ? "frames" : "clips";
  const states = data.states.counts, known = states.judged, everything = Object.values(states).reduce((a, b) => a + b, 0);
  $("histogram-note").textContent = (known === everything ? `Scores of all ${things}, which were all judged` : `Scores of the ${count(known)} of ${count(everything)} ${things} that were judged`) + (kinds.length > 1 ? ", each kind adding up to 100 %" : "") + "; the last bar includes higher scores." + (data.threshold === null ? "" : " Dashed: the threshold.");
  const quality = data.quality;
  document.querySelectorAll(".labelled").forEach((figure) => { figure.hidden = !quality; });
  document.querySelector(".charts").classList.toggle("alone", !quality);
  const meaning = data.threshold === null ? "" : ` The threshold, ${fixed(data.threshold)}, is ${data.threshold_meaning}.`;
  if (!quality) $("quality-note").textContent = `Without labels of both kinds, the page shows the distribution of scores only.${meaning}`;
  else {
    $("quality-note").textContent = `Compared with the labels of ${things}: AUC ${quality.auc.toFixed(3)} (0.5 is chance, 1 is perfect), equal error rate ${percent(quality.eer)}.` + (known === everything ? "" : ` The other ${things} count as most normal.`) + meaning;
    const at = quality.at;
    const point = (x, y) => x === null || y === null ? [] : [{ x: [x], y: [y], mode: "markers", marker: { size: 11, color: "#c92a3c", line: { color: "#fff", width: 2 } }, hovertemplate: "the threshold<extra></extra>" }];
    const curve = (pair, text) => ({ x: Array.from(floats(pair[0])), y: Array.from(floats(pair[1])), mode: "lines", line: { color: "#1f5f99", width: 2 }, hovertemplate: text });
    const chance = (x, y) => ({ x, y, mode: "lines", line: { color: "#b9c3cc", width: 1, dash: "dot" }, hoverinfo: "skip" });
    const unit = { range: [-0.02, 1.02], tickformat: ".0%" };
    Plotly.newPlot($("roc"), [chance([0, 1], [0, 1]), curve(quality.roc, "%{y:.0%} found at %{x:.0%} false alarms<extra></extra>"), ...(at ? point(at.false, at.true) : [])], layout({ xaxis: axis(`normal ${things} alarmed`, unit), yaxis: axis(`abnormal ${things} found`, unit) }), BASE);
    Plotly.newPlot($("pr"), [chance([0, 1], [quality.base, quality.base]), curve(quality.pr, "precision %{y:.0%} at %{x:.0%} found<extra></extra>"), ...(at ? point(at.true, at.precision) : [])], layout({ xaxis: axis(`abnormal ${things} found (recall)`, unit), yaxis: axis("precision", unit) }), BASE);
    $("roc-note").textContent = `ROC, AUC ${quality.auc.toFixed(3)}.` + (at ? ` At the threshold ${percent(at.true)} of abnormal ${things} and ${percent(at.false)} of normal ${things} are alarms.` : "");
    $("pr-note").textContent = `Precision and recall, average precision ${quality.ap.toFixed(3)}; chance is ${quality.base.toFixed(3)}.`;
  }

  // -- options -----------------------------------------------------------------------------------

  function table(title, entries) {
    const body = make("tbody");
    for (const [name, value] of entries) body.append(make("tr", {}, make("th", { scope: "row" }, name.replace(/_/g, " ")), make("td", {}, value === null ? "–" : Array.isArray(value) ? value.join(", ") : String(value))));
    $("options").append(make("table", {}, make("caption", {}, title), body));
  }
  table("Scores", [...Object.entries(data.options.scoring), ["threshold", data.threshold === null ? null : data.threshold.toPrecision(5)], ["version", `gepc_geo ${about.version}`]]);
  const own = Object.entries(data.options.detector), half = Math.ceil(own.length / 2);
  table("Detector", own.slice(0, half));
  table("Detector, continued", own.slice(half));

  document.querySelector(".browser").classList.toggle("alone", data.clips.length < 2);
  // What is known of the event of a peak: when, who, on how many windows, and why.
  function story(one, clip) {
    const parts = [], event = one.event;
    if (event) {
      parts.push(`The event lasts from ${moment(clip, event.start)} to ${moment(clip, event.end)}, with ${event.people.length > 1 ? "persons" : "person"} ${event.people.join(", ")}; its peak is the mean of ${many(event.windows, "window", "windows")}`);
      if (event.near) parts.push(`The person has a tracking fault (${event.near}) within a second of it`);
    }
    if (one.why) parts.push(`Why: ${one.why}`);
    return parts.map((part) => `${part}. `).join("");
  }

  // A link to an event, #event-ID, opens its highest peak.
  function follow() {
    const linked = data.scenes.findIndex((one) => one.event && location.hash === `#event-${one.event.id}`);
    if (linked < 0) return false;
    choose(data.scenes[linked].clip);
    show(linked, false);
    return true;
  }
  window.addEventListener("hashchange", follow);
  if (!data.clips.length) document.querySelector(".browser").hidden = true;
  else if (!follow()) choose(0);

  // -- print: charts as wide as paper, and a picture of each peak ---------------------------------

  const charts = () => document.querySelectorAll(".js-plotly-plot");
  window.addEventListener("beforeprint", () => {
    for (const one of charts()) Plotly.relayout(one, { width: one === chart ? 660 : 320, height: one.clientHeight, autosize: false });
    for (const button of document.querySelectorAll(".moments button")) {
      const peak = data.scenes[button.dataset.scene], shown = poses(peak.poses), at = peak.frame - peak.start;
      const still = button.querySelector("canvas"), context = still.getContext("2d");
      context.clearRect(0, 0, still.width, still.height);
      portrait(context, { x: 0, y: 0, width: still.width, height: still.height }, shown, 0, at,
        { alpha: 1, shares: peak.people[0].shares, line: 8, dot: 5 }, box(shown, 0, at) || undefined);
    }
    for (const one of walkers.values()) one.draw();
  });
  window.addEventListener("afterprint", () => {
    for (const one of charts()) Plotly.relayout(one, { width: null, height: null, autosize: true });
  });
  let waiting = null;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      draw();
      for (const one of walkers.values()) if (one.visible) one.draw();
    }, 100);
  });
})();
