// Threshold explorer. Counts come ready from Python; rates are computed and curves drawn here.
(function () {
  'use strict';
  const SVG = 'http://www.w3.org/2000/svg';
  function make(node, attributes, children) {
    Object.entries(attributes || {}).forEach(([key, value]) => {
      if (key === 'text') node.textContent = value; else if (value !== null && value !== false) node.setAttribute(key, value === true ? '' : value);
    });
    node.append(...(children || []).filter((child) => child !== null));
    return node;
  }
  const el = (name, attributes, children) => make(document.createElement(name), attributes, children);
  const draw = (name, attributes, children) => make(document.createElementNS(SVG, name), attributes, children);
  const option = (value, text) => el('option', { value, text });
  const field = (label, control, after) => el('label', { class: 'field' }, [el('span', { text: label }), control, after || null]);
  const rising = (differences) => { let sum = 0; return differences.map((step) => (sum += step)); };
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const logit = (p) => Math.log(p / (1 - p));
  const expit = (x) => 1 / (1 + Math.exp(-x));
  const round = (x) => Math.round(x * 100) / 100;
  const percent = (x) => (x === null || Number.isNaN(x) ? '\u2013' : (100 * x).toFixed(1) + '\u00a0%');
  const number = (x, digits) => (x < 0 && +x.toFixed(digits) !== 0 ? '\u2212' : '') + Math.abs(x).toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  // how many values of a rising list are at least x
  function atLeast(list, x) {
    let low = 0, high = list.length;
    while (low < high) { const middle = (low + high) >> 1; if (list[middle] < x) low = middle + 1; else high = middle; }
    return list.length - low;
  }
  function interpolate(xs, ys, x) {
    if (x <= xs[0]) return ys[0];
    for (let i = 1; i < xs.length; i += 1) {
      if (x <= xs[i]) return xs[i] === xs[i - 1] ? ys[i] : ys[i - 1] + (ys[i] - ys[i - 1]) * (x - xs[i - 1]) / (xs[i] - xs[i - 1]);
    }
    return ys[ys.length - 1];
  }

  // One chart: a frame with axes, lines of every model, and one mark a model that moves.
  function chart(title, x, y, ticks) {
    const W = 320, H = 250, L = 46, R = 16, T = 22, B = 40;
    const lines = draw('g', {}), marks = draw('g', {}), axes = draw('g', {});
    const svg = draw('svg', { class: 'chart', viewBox: '0 0 ' + W + ' ' + H, role: 'img', 'data-chart': title }, [axes, lines, marks]);
    let range = [0, 1, 0, 1];
    const px = (v) => round(L + (W - L - R) * (v - range[0]) / (range[1] - range[0]));
    const py = (v) => round(H - B - (H - T - B) * (v - range[2]) / (range[3] - range[2]));
    const inside = (v, low, high) => Math.min(high, Math.max(low, v));
    function frame(wanted, xs, ys) {
      range = wanted;
      axes.replaceChildren(draw('path', { class: 'frame', d: 'M' + L + ' ' + T + 'V' + (H - B) + 'H' + (W - R) }),
        draw('text', { class: 'head', x: L, y: 13, text: title }), draw('text', { x: (L + W - R) / 2, y: H - 6, 'text-anchor': 'middle', text: x }),
        draw('text', { x: 11, y: (T + H - B) / 2, 'text-anchor': 'middle', transform: 'rotate(-90 11 ' + (T + H - B) / 2 + ')', text: y }),
        ...xs.flatMap((v) => [draw('path', { class: 'frame', d: 'M' + px(v) + ' ' + (H - B) + 'v4' }), draw('text', { x: px(v), y: H - B + 15, 'text-anchor': 'middle', text: ticks(v) })]),
        ...ys.flatMap((v) => [draw('path', { class: 'frame', d: 'M' + L + ' ' + py(v) + 'h-4' }), draw('text', { x: L - 6, y: py(v) + 4, 'text-anchor': 'end', text: y.includes('1,000') ? number(v, 0) : '' + v })]));
      lines.replaceChildren();
    }
    function line(points, kind) {
      const shown = points.filter((p) => p[1] !== null && !Number.isNaN(p[1]));
      if (shown.length > 1) lines.append(draw('path', { class: kind, d: shown.map((p, i) => (i ? 'L' : 'M') + px(inside(p[0], range[0], range[1])) + ' ' + py(inside(p[1], range[2], range[3]))).join('') }));
    }
    const SHAPES = ['M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0', 'M-4.5-4.5h9v9h-9z', 'M-5.5 4.5h11l-5.5-10z', 'M-6 0l6-6l6 6l-6 6z', 'M-5.5-4.5h11l-5.5 10z', 'M-6-2h4v-4h4v4h4v4h-4v4h-4v-4h-4z'];
    function place(points) {
      marks.replaceChildren(...points.map((p, i) => (p === null || p.some((v) => v === null || Number.isNaN(v)) ? null :
        draw('g', { class: 'arm-' + i % 6 }, [draw('path', { class: 'mark', 'data-x': p[0].toFixed(4), 'data-y': p[1].toFixed(4), d: SHAPES[i % 6],
          transform: 'translate(' + px(inside(p[0], range[0], range[1])) + ' ' + py(inside(p[1], range[2], range[3])) + ')' })]))).filter(Boolean));
    }
    return { svg, frame, line, place, name: (text) => svg.setAttribute('aria-label', text) };
  }

  // A thousand films: crosses missed tumours, dots tumours found, rings false alarms, faint points the rest.
  function icons(rates, q) {
    const sick = Math.round(1000 * q), found = Math.round(sick * rates.sensitivity), alarms = Math.round((1000 - sick) * (1 - rates.specificity));
    const kinds = [['missed', sick - found], ['found', found], ['alarm', alarms], ['quiet', 1000 - sick - alarms]];
    const path = { missed: (x, y) => 'M' + (x - 3) + ' ' + (y - 3) + 'l6 6m0-6l-6 6', alarm: (x, y) => 'M' + (x - 3) + ' ' + y + 'a3 3 0 1 0 6 0a3 3 0 1 0-6 0',
      found: (x, y) => 'M' + x + ' ' + y + 'h.01', quiet: (x, y) => 'M' + x + ' ' + y + 'h.01' };
    let at = 0;
    const shapes = kinds.filter((kind) => kind[1] > 0).map(([kind, count]) => {
      let d = '';
      for (let i = 0; i < count; i += 1, at += 1) d += path[kind](10 * (at % 50) + 5, 10 * Math.floor(at / 50) + 5);
      return draw('path', { class: 'dot ' + kind, d });
    });
    const words = 'Of 1,000 films: ' + (sick - found) + ' tumours missed (crosses), ' + found + ' found (dots), ' + alarms + ' false alarms (rings), ' + kinds[3][1] + ' true negatives (faint)';
    return el('figure', {}, [draw('svg', { class: 'icons', viewBox: '0 0 500 200', role: 'img', 'aria-label': words }, shapes), el('figcaption', { text: words + '.' })]);
  }

  function start(root) {
    if (root.dataset.ready) return;
    root.dataset.ready = 'yes';
    const D = JSON.parse(root.dataset.explorer), study = D.n1 / (D.n1 + D.n0), several = D.runs.length > 1;
    D.arms.forEach((arm) => Object.values(arm.runs).forEach((run) => {
      [run.target, run.steps, run.curve].forEach((part) => Object.keys(part).forEach((key) => { part[key] = rising(part[key]); }));
    }));
    const run = el('select', { 'data-control': 'run' }, [...(several ? [option('mean', 'mean over ' + D.runs.length + ' ' + D.word + 's')] : []), ...D.runs.map((r) => option(r, D.word + ' ' + r))]);
    const mode = el('select', { 'data-control': 'mode' });
    const sources = [...new Set(D.points.map((p) => p.from))];
    const point = el('select', { 'data-control': 'point' }, sources.map((source) => el('optgroup', { label: 'threshold ' + source },
      D.points.filter((p) => p.from === source).map((p) => option(p.key, p.name)))));
    const slider = el('input', { type: 'range', 'data-control': 'slider' }), shown = el('output', {});
    const prevalence = el('input', { type: 'range', min: -300, max: -10, step: 1, 'data-control': 'prevalence' });
    const prevalenceShown = el('output', {}), own = el('button', { type: 'button', text: 'as in the study' });
    const odds = el('select', { 'data-control': 'odds' }, [99, 49, 19, 9, 4].map((o) => option(o, o + ' false alarms (act from ' + +(100 / (o + 1)).toFixed(1) + ' %)')));
    odds.value = '9';
    let q = study, asStudied = true;
    const pointField = field('Operating point', point), sliderField = field('', slider, shown);
    const cards = el('div', { class: 'cards' }), said = el('p', { class: 'visually-hidden', role: 'status' });
    const plain = (v) => '' + v, shares = (v) => +(100 * v).toFixed(1) + ' %';
    const charts = { roc: chart('ROC curve', '1 \u2212 specificity', 'Sensitivity', plain), pr: chart('Precision-recall curve', 'Sensitivity', 'PPV at this prevalence', plain),
      calibration: chart('Calibration after recalibration', 'Predicted risk', 'Observed share malignant', plain), decision: chart('Decision curve', 'Threshold probability', 'Net benefit per 1,000', shares) };
    const key = el('p', { class: 'fine' });
    const live = el('div', { class: 'explorer-live' }, [
      el('div', { class: 'controls', role: 'group', 'aria-label': 'Settings of the explorer' }, [
        several ? field(D.word === 'reader' ? 'Readers' : 'Runs', run) : null, field('Set the thresholds by', mode), pointField, sliderField,
        field('Share of malignant films', prevalence, el('span', { class: 'after' }, [prevalenceShown, ' ', own])), field('One tumour found is worth', odds)]),
      cards, key, el('div', { class: 'charts' }, Object.values(charts).map((c) => c.svg)), said]);
    root.append(live);

    const chosen = () => (run.value === 'mean' ? D.runs : [run.value]);
    function range() {
      if (mode.value === 'target') Object.assign(slider, { min: 500, max: 1000, step: 5, value: 900 });
      if (mode.value === 'threshold') Object.assign(slider, { min: 0, max: 1000, step: 1, value: D.ladder.of === 'risk' ? 100 : 500 });
    }
    function modes() {
      const before = mode.value, free = run.value === 'mean' ? option('target', 'a target sensitivity') : option('threshold', D.ladder.of === 'risk' ? 'the recalibrated risk' : 'the score');
      mode.replaceChildren(free, ...(D.points.length ? [option('point', 'an operating point of the study')] : []));
      mode.value = before === 'point' ? 'point' : free.value;
      if (before !== mode.value) range();
    }
    // Counts of one run at the setting, and the risk at its threshold where it is known.
    function counts(r) {
      const v = +slider.value;
      if (mode.value === 'threshold') return { tp: atLeast(r.steps['1'], v), fp: atLeast(r.steps['0'], v), risk: D.ladder.of === 'risk' ? v / 1000 : null };
      let c = r.points[point.value];
      if (mode.value === 'target') {
        const most = r.target.k[r.target.k.length - 1], need = Math.ceil(v * most / 1000 - 1e-9);
        const i = r.target.k.length - atLeast(r.target.k, need);
        c = [r.target.tp[i], r.target.fp[i]];
      }
      if (!c) return null;
      return { tp: c[0], fp: c[1], risk: riskAt(r.curve, c[0] + c[1]) };
    }
    function riskAt(curve, called) {
      if (!curve.z) return null;
      const i = curve.tp.findIndex((tp, j) => tp + curve.fp[j] >= called);
      return i < 0 ? null : expit(curve.z[i] / 1000);
    }
    const ppv = (sensitivity, specificity) => { const top = q * sensitivity, all = top + (1 - q) * (1 - specificity); return all > 0 ? top / all : null; };
    const npv = (sensitivity, specificity) => { const top = (1 - q) * specificity, all = top + q * (1 - sensitivity); return all > 0 ? top / all : null; };
    const benefit = (sensitivity, specificity, t) => 1000 * (q * sensitivity - (1 - q) * (1 - specificity) * t / (1 - t));
    const threshold = () => 1 / (1 + +odds.value);

    function state(arm) {
      const found = chosen().map((r) => arm.runs[r] && counts(arm.runs[r])).filter(Boolean);
      if (!found.length) return null;
      const tp = mean(found.map((c) => c.tp)), fp = mean(found.map((c) => c.fp)), s = tp / D.n1, c = 1 - fp / D.n0;
      const risks = found.map((f) => f.risk).filter((r) => r !== null);
      return { tp, fp, fn: D.n1 - tp, tn: D.n0 - fp, sensitivity: s, specificity: c, ppv: ppv(s, c), npv: npv(s, c), many: found.length,
        missed: 1000 * q * (1 - s), alarms: 1000 * (1 - q) * (1 - c), benefit: benefit(s, c, threshold()),
        risk: risks.length === found.length ? mean(risks) : null,
        spread: { sensitivity: found.map((f) => f.tp / D.n1), specificity: found.map((f) => 1 - f.fp / D.n0) } };
    }
    // At the study's own points its own intervals; elsewhere the range of the runs.
    function limits(arm, now, key) {
      if (run.value !== 'mean' && several) return '';
      const interval = mode.value === 'point' && (asStudied || key === 'sensitivity' || key === 'specificity') && (arm.limits[point.value] || {})[key];
      if (interval) return '(' + percent(interval[0]) + ' to ' + percent(interval[1]) + ')';
      const all = now.spread[key];
      return all && all.length > 1 ? D.word + 's ' + (100 * Math.min(...all)).toFixed(1) + ' to ' + percent(Math.max(...all)) : '';
    }
    function card(arm, i, now, reference) {
      const head = el('h3', { class: 'arm arm-' + i % 6 }, [el('span', { 'aria-hidden': 'true', text: arm.sign + '\u00a0' }), arm.label]);
      if (!now) return el('div', { class: 'card', 'data-arm': arm.id }, [head, el('p', { text: 'No counts for this choice.' })]);
      const cell = (key) => el('td', { class: 'n', 'data-count': key, text: number(now[key], now.many > 1 ? 1 : 0) });
      const row = (name, key, text) => el('tr', {}, [el('th', { scope: 'row', text: name }), el('td', { class: 'n', 'data-rate': key, text }), el('td', { class: 'limits', text: limits(arm, now, key) })]);
      const rate = (name, key) => row(name, key, percent(now[key]));
      const two = el('table', { class: 'two' }, [el('caption', { text: now.many > 1 ? 'Films, mean of ' + now.many + ' ' + D.word + 's' : 'Films' }),
        el('thead', {}, [el('tr', {}, [el('td', {}), el('th', { scope: 'col', text: 'malignant' }), el('th', { scope: 'col', text: 'normal' })])]),
        el('tbody', {}, [el('tr', {}, [el('th', { scope: 'row', text: 'called malignant' }), cell('tp'), cell('fp')]),
          el('tr', {}, [el('th', { scope: 'row', text: 'not called' }), cell('fn'), cell('tn')])])]);
      const list = el('table', { class: 'rates' }, [el('caption', { class: 'visually-hidden', text: 'Rates of ' + arm.label }), el('tbody', {}, [
        rate('Sensitivity', 'sensitivity'), rate('Specificity', 'specificity'), rate('PPV: calls that are tumours', 'ppv'), rate('NPV: others that are normal', 'npv'),
        row('Tumours missed per 1,000 films', 'missed', number(now.missed, 1)), row('False alarms per 1,000 films', 'alarms', number(now.alarms, 1)),
        row('Net benefit per 1,000 films', 'benefit', number(now.benefit, 1)),
        D.arms.length > 1 && reference ? row('Difference in net benefit', i ? 'gain' : null, i ? (now.benefit > reference.benefit ? '+' : '') + number(now.benefit - reference.benefit, 1) : 'reference') : null])]);
      return el('div', { class: 'card', 'data-arm': arm.id }, [head, two, list, icons(now, q)]);
    }

    // --- curves
    const GRID = Array.from({ length: 101 }, (_, i) => i / 100);
    function rocOf(r) { return r.curve.tp.map((tp, i) => [r.curve.fp[i] / D.n0, tp / D.n1]); }
    function sensitivityAt(roc, x) {
      let best = 0;
      for (let i = 1; i < roc.length && roc[i - 1][0] <= x; i += 1) {
        if (roc[i][0] <= x) best = roc[i][1];
        else best = Math.max(best, roc[i - 1][1] + (roc[i][1] - roc[i - 1][1]) * (x - roc[i - 1][0]) / (roc[i][0] - roc[i - 1][0]));
      }
      return best;
    }
    const prOf = (roc) => roc.filter((p) => p[1] > 0).map((p) => [p[1], ppv(p[1], 1 - p[0])]);
    function precisionAt(pr, x) { const p = pr.find((v) => v[0] >= x - 1e-12); return p ? p[1] : null; }
    // Rates where the risk, moved to this prevalence, reaches t; the recalibration knows the share of the validation films.
    function ratesAt(r, t) {
      const z = logit(t) - (asStudied || D.learnt === null ? 0 : logit(q) - logit(D.learnt));
      let i = 0;
      while (i + 1 < r.curve.z.length && r.curve.z[i + 1] / 1000 >= z - 5e-4) i += 1;
      return [r.curve.tp[i] / D.n1, 1 - r.curve.fp[i] / D.n0];
    }
    const steps = (low, high, count) => Array.from({ length: count + 1 }, (_, i) => low + (high - low) * i / count);
    function nice(top, count) { const raw = top / count, base = 10 ** Math.floor(Math.log10(raw)), step = base * [1, 2, 5, 10].find((m) => m * base >= raw); return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, i) => i * step); }
    function lines() {
      key.textContent = 'Marks: the setting above. ' + (several ? 'Strong lines: ' + (run.value === 'mean' ? run.selectedOptions[0].textContent : D.word + ' ' + run.value) + '; faint lines: single ' + D.word + 's.' : '');
      const quarter = [0, 0.25, 0.5, 0.75, 1], all = D.arms.map((arm) => Object.entries(arm.runs));
      charts.roc.frame([0, 1, 0, 1], quarter, quarter); charts.pr.frame([0, 1, 0, 1], quarter, quarter); charts.calibration.frame([0, 1, 0, 1], quarter, quarter);
      charts.roc.line([[0, 0], [1, 1]], 'aid'); charts.calibration.line([[0, 0], [1, 1]], 'aid'); charts.pr.line([[0, q], [1, q]], 'aid');
      const risky = all.every((runs) => runs.every(([, r]) => r.curve.z)), at = steps(D.at[0], D.at[1], Math.round((D.at[1] - D.at[0]) * 100) || 1);
      const top = 1080 * q;
      charts.decision.frame([0, D.at[1], -0.2 * top, top], nice(D.at[1], 4), nice(top, 4));
      charts.decision.line(at.map((t) => [t, benefit(1, 0, t)]), 'aid'); charts.decision.line([[0, 0], [D.at[1], 0]], 'aid');
      all.forEach((runs, i) => {
        const kind = 'arm-' + i % 6 + ' line dash-' + i % 6, faint = kind + ' faint', strong = (name) => run.value === name || runs.length === 1;
        const rocs = runs.map(([name, r]) => [name, rocOf(r)]), prs = rocs.map(([name, roc]) => [name, prOf(roc)]);
        [...rocs].forEach(([name, roc]) => charts.roc.line(roc, strong(name) ? kind : faint));
        prs.forEach(([name, pr]) => charts.pr.line(pr, strong(name) ? kind : faint));
        if (run.value === 'mean' && runs.length > 1) {
          charts.roc.line([[0, 0], ...GRID.map((x) => [x, mean(rocs.map((roc) => sensitivityAt(roc[1], x)))])], kind);
          charts.pr.line(GRID.slice(1).map((x) => [x, mean(prs.map((pr) => precisionAt(pr[1], x)))]), kind);
        }
        const curve = run.value === 'mean' ? D.arms[i].calibration : (D.arms[i].runs[run.value] || {}).calibration;
        if (curve) charts.calibration.line(curve[0].map((x, j) => [x, curve[1][j]]), kind);
        if (risky) charts.decision.line(at.map((t) => { const found = runs.filter(([name]) => chosen().includes(name)).map(([, r]) => ratesAt(r, t)); return found.length ? [t, benefit(mean(found.map((f) => f[0])), mean(found.map((f) => f[1])), t)] : [t, NaN]; }), kind);
      });
      charts.calibration.svg.toggleAttribute('hidden', !D.arms.some((arm) => arm.calibration));
      charts.decision.svg.toggleAttribute('hidden', !risky);
    }
    function calibrated(arm, risk) {
      const curve = run.value === 'mean' ? arm.calibration : (arm.runs[run.value] || {}).calibration;
      return risk === null || !curve ? null : [risk, interpolate(curve[0], curve[1], risk)];
    }

    let timer;
    function points() {
      pointField.hidden = mode.value !== 'point'; sliderField.hidden = mode.value === 'point';
      const target = mode.value === 'target', value = D.ladder.low + slider.value * D.ladder.step;
      sliderField.firstChild.textContent = target ? 'Target sensitivity' : D.ladder.of === 'risk' ? 'Call malignant from a risk of' : 'Call malignant from a score of';
      const setting = target ? (slider.value / 10).toFixed(1) + ' %' : D.ladder.of === 'risk' ? (slider.value / 10).toFixed(1) + ' %' : String(+value.toPrecision(4));
      shown.textContent = setting + (target ? (D.from === 'validation' ? ' of the validation tumours' : ' of the tumours; thresholds found on these films') : '');
      slider.setAttribute('aria-valuetext', shown.textContent);
      prevalenceShown.textContent = q >= 0.1 ? (100 * q).toFixed(1) + ' %' : (1000 * q).toFixed(1) + ' per 1,000';
      prevalence.setAttribute('aria-valuetext', prevalenceShown.textContent);
      own.disabled = asStudied;
      const now = D.arms.map(state), t = threshold();
      cards.replaceChildren(...D.arms.map((arm, i) => card(arm, i, now[i], now[0])));
      charts.roc.place(now.map((s) => s && [1 - s.specificity, s.sensitivity]));
      charts.pr.place(now.map((s) => s && [s.sensitivity, s.ppv]));
      charts.calibration.place(now.map((s, i) => s && calibrated(D.arms[i], s.risk)));
      charts.decision.place(now.map((s) => s && [t, s.benefit]));
      const names = (text) => D.arms.map((arm, i) => (now[i] ? arm.label + ' ' + text(now[i]) : '')).filter(Boolean).join('; ');
      charts.roc.name('ROC curves; marked: ' + names((s) => 'sensitivity ' + percent(s.sensitivity) + ' at specificity ' + percent(s.specificity)));
      charts.pr.name('Precision-recall curves; marked: ' + names((s) => 'PPV ' + percent(s.ppv) + ' at sensitivity ' + percent(s.sensitivity)));
      charts.calibration.name('Calibration curves; marked: the risk at the threshold, ' + names((s) => (s.risk === null ? 'not known' : percent(s.risk))));
      charts.decision.name('Decision curves at ' + prevalenceShown.textContent + ' malignant; marked: net benefit per 1,000 films, ' + names((s) => number(s.benefit, 1)));
      clearTimeout(timer);
      const choice = mode.value === 'point' ? point.selectedOptions[0].textContent : sliderField.firstChild.textContent + ' ' + setting;
      timer = setTimeout(() => { said.textContent = choice + '. ' + names((s) => 'sensitivity ' + percent(s.sensitivity) + ', specificity ' + percent(s.specificity) + ', ' + number(s.missed, 1) + ' missed and ' + number(s.alarms, 1) + ' false alarms per 1,000 films'); }, 400);
    }
    function moved() { q = asStudied ? study : 10 ** (prevalence.value / 100); if (asStudied) prevalence.value = Math.round(100 * Math.log10(q)); lines(); points(); }
    run.addEventListener('change', () => { modes(); lines(); points(); });
    mode.addEventListener('change', () => { range(); points(); });
    [point, odds].forEach((control) => control.addEventListener('change', points));
    slider.addEventListener('input', points);
    prevalence.addEventListener('input', () => { asStudied = false; moved(); });
    own.addEventListener('click', () => { asStudied = true; moved(); prevalence.focus(); });
    root.querySelector('.explorer-static').hidden = true;
    modes(); moved();
  }
  document.querySelectorAll('.explorer[data-explorer]').forEach(start);
}());
