/* Threshold explorer. No library; counts come ready from Python, only rates are computed here. */
(function () {
  'use strict';
  function el(name, attrs, kids) {
    var node = document.createElement(name);
    Object.keys(attrs || {}).forEach(function (k) {
      if (k === 'text') node.textContent = attrs[k]; else if (attrs[k] !== null) node.setAttribute(k, attrs[k]);
    });
    (kids || []).forEach(function (kid) { node.appendChild(typeof kid === 'string' ? document.createTextNode(kid) : kid); });
    return node;
  }
  function wilson(k, n, z) {
    if (!n) return null;
    var p = k / n, z2 = z * z, c = (p + z2 / (2 * n)) / (1 + z2 / n);
    var h = z * Math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    return [Math.max(0, c - h), Math.min(1, c + h)];
  }
  /* Mercaldo, Lau & Zhou (2007): predictive values at a prevalence, on the logit scale */
  function predictive(hit, hitN, other, otherN, q, z) {
    var a = hit / hitN, b = other / otherN, top = a * q, bottom = b * (1 - q);
    if (!(top + bottom > 0)) return { estimate: null, limits: null };
    var value = top / (top + bottom);
    if (hit === 0 || other === 0) return { estimate: value, limits: null };
    var l = Math.log(top / bottom), s = z * Math.sqrt((1 - a) / hit + (1 - b) / other);
    return { estimate: value, limits: [1 / (1 + Math.exp(s - l)), 1 / (1 + Math.exp(-s - l))] };
  }
  function mean(xs) { return xs.reduce(function (a, b) { return a + b; }, 0) / xs.length; }
  function start(root) {
    var source = root.querySelector('.explorer-data'), live = root.querySelector('.explorer-live');
    if (!source || !live || root.dataset.ready) return;
    root.dataset.ready = '1';
    var D = JSON.parse(source.textContent), z = D.z;
    var keys = Object.keys(D.points), study = D.n1 / (D.n1 + D.n0);
    function option(value, text) { return el('option', { value: value, text: text }); }
    function field(label, control, note) {
      return el('label', { class: 'field' }, [el('span', { text: label })].concat([control], note ? [note] : []));
    }
    var mode = el('select', { 'data-control': 'mode' }, [].concat(
      keys.length ? [option('point', 'an operating point')] : [],
      D.risk ? [option('risk', 'the recalibrated risk')] : [], [option('target', 'a target sensitivity')]));
    var sources = keys.map(function (k) { return D.points[k][1]; }).filter(function (s, i, all) { return all.indexOf(s) === i; });
    var point = el('select', { 'data-control': 'point' }, sources.map(function (s) {
      return el('optgroup', { label: 'threshold ' + s }, keys.filter(function (k) { return D.points[k][1] === s; })
        .map(function (k) { return option(k, D.points[k][0]); })); }));
    var learnt = el('span', { class: 'after' });
    var slider = el('input', { type: 'range', min: 1, max: 1000, step: 1, value: 100, 'data-control': 'slider' });
    var shown = el('output', { 'aria-live': 'off' });
    var seed = el('select', { 'data-control': 'seed' }, D.seeds.map(function (s) { return option(s, 'seed ' + s); })
      .concat(D.seeds.length > 1 ? [option('mean', 'mean over ' + D.seeds.length + ' seeds')] : []));
    var prevalence = el('input', { type: 'range', min: -300, max: -10, step: 1, 'data-control': 'prevalence' });
    var prevalenceShown = el('output', {}), atStudy = el('button', { type: 'button', text: 'as in the study' });
    var odds = el('select', { 'data-control': 'odds' }, [99, 49, 19, 9, 4, 1].map(function (o) {
      return option(o, o + ' false alarm' + (o > 1 ? 's' : '') + ' (threshold ' + +(100 / (o + 1)).toFixed(1) + '%)'); }));
    odds.value = '9';
    var q = study, useStudy = true;
    var pointField = field('Operating point', point, learnt), sliderField = field('Threshold', slider, shown);
    var body = el('div', { class: 'cards' }), said = el('p', { class: 'visually-hidden', role: 'status' });
    live.appendChild(el('div', { class: 'controls', role: 'group', 'aria-label': 'Settings of the explorer' }, [
      field('Set the threshold by', mode), pointField, sliderField, field('Training run', seed),
      field('Prevalence', prevalence, el('span', { class: 'after' }, [prevalenceShown, ' ', atStudy])),
      field('One tumour found is worth', odds)]));
    live.appendChild(body); live.appendChild(said);
    function counts(run) {
      if (mode.value === 'point') return (run.points[point.value] || {}).counts || null;
      var v = +slider.value;
      if (mode.value === 'risk') return run.risk ? [run.risk.tp[v], run.risk.fp[v]] : null;
      var need = Math.ceil(v * D.n1 / 1000 - 1e-9), k = run.target.k, i = 0;
      while (i < k.length - 1 && k[i] < need) i++;
      return [run.target.tp[i], run.target.fp[i]];
    }
    function rates(c) {
      var tp = c[0], fp = c[1], fn = D.n1 - tp, tn = D.n0 - fp, w = 1 / +odds.value;
      var ppv = predictive(tp, D.n1, fp, D.n0, q, z), npv = predictive(tn, D.n0, fn, D.n1, 1 - q, z);
      return { tp: tp, fp: fp, fn: fn, tn: tn, sensitivity: tp / D.n1, specificity: tn / D.n0, ppv: ppv.estimate, npv: npv.estimate,
        limits: { sensitivity: wilson(tp, D.n1, z), specificity: wilson(tn, D.n0, z), ppv: ppv.limits, npv: npv.limits },
        missed: 1000 * q * fn / D.n1, alarms: 1000 * (1 - q) * fp / D.n0, benefit: 1000 * (q * tp / D.n1 - (1 - q) * (fp / D.n0) * w) };
    }
    function pct(x) { return x === null || x === undefined || isNaN(x) ? '\u2013' : (100 * x).toFixed(1) + '%'; }
    function num(x, d) { return (x < 0 && +x.toFixed(d) !== 0 ? '\u2212' : '') + Math.abs(x).toFixed(d).replace(/\B(?=(\d{3})+(?!\d))/g, ','); }
    function pair(l) { return l && l[0] !== null && l[0] !== undefined ? pct(l[0]) + ' to ' + pct(l[1]) : ''; }
    function row(name, value, extra, key) {
      return el('tr', {}, [el('th', { scope: 'row', text: name }), el('td', { class: 'n', 'data-rate': key, text: value }), el('td', { class: 'ci', text: extra || '' })]);
    }
    function card(arm, index) {
      var chosen = seed.value === 'mean' ? D.seeds : [seed.value];
      var rs = chosen.map(function (s) { return arm.runs[s] && counts(arm.runs[s]); }).filter(Boolean).map(rates);
      var head = el('h3', { class: 'arm arm-' + index % 6 }, [el('span', { 'aria-hidden': 'true', text: arm.sign + '\u00a0' }), arm.label]);
      if (!rs.length) return { node: el('div', { class: 'card' }, [head, el('p', { text: 'No counts for this choice.' })]), said: '' };
      function m(k) { var xs = rs.map(function (r) { return r[k]; }); return xs.some(function (x) { return x === null; }) ? null : mean(xs); }
      function spread(k) {
        /* at the study's own points its own intervals stand (patients as units); predictive values only at its prevalence */
        var own = mode.value === 'point' && (useStudy || k === 'sensitivity' || k === 'specificity') &&
          ((rs.length > 1 ? arm.pooled[point.value] : arm.runs[seed.value].points[point.value].limits) || {})[k];
        if (own) return pair(own);
        if (rs.length === 1) return pair(rs[0].limits[k]);
        var xs = rs.map(function (r) { return r[k]; });
        return xs.some(function (x) { return x === null; }) ? '' : 'seeds ' + pct(Math.min.apply(0, xs)) + ' to ' + pct(Math.max.apply(0, xs));
      }
      var d = rs.length > 1 ? 1 : 0;
      function cell(k) { return el('td', { class: 'n', 'data-count': k, text: num(m(k), d) }); }
      var square = el('table', { class: 'two' }, [el('caption', { text: rs.length > 1 ? 'Films (mean of ' + rs.length + ' runs)' : 'Films' }),
        el('thead', {}, [el('tr', {}, [el('td'), el('th', { scope: 'col', text: 'tumour' }), el('th', { scope: 'col', text: 'none' })])]),
        el('tbody', {}, [el('tr', {}, [el('th', { scope: 'row', text: 'alarm' }), cell('tp'), cell('fp')]),
          el('tr', {}, [el('th', { scope: 'row', text: 'quiet' }), cell('fn'), cell('tn')])])]);
      var list = el('table', { class: 'rates' }, [el('caption', { class: 'visually-hidden', text: 'Rates, ' + arm.label }), el('tbody', {}, [
        row('Sensitivity', pct(m('sensitivity')), spread('sensitivity'), 'sensitivity'), row('Specificity', pct(m('specificity')), spread('specificity'), 'specificity'),
        row('PPV: alarms that are right', pct(m('ppv')), spread('ppv'), 'ppv'), row('NPV: quiet films that are right', pct(m('npv')), spread('npv'), 'npv'),
        row('Missed tumours per 1,000 films', num(m('missed'), 1), '', 'missed'), row('False alarms per 1,000 films', num(m('alarms'), 1), '', 'alarms'),
        row('Net benefit per 1,000 films', num(m('benefit'), 1), '', 'benefit')])]);
      return { node: el('div', { class: 'card', 'data-arm': arm.id }, [head, square, list]),
        said: arm.label + ': sensitivity ' + pct(m('sensitivity')) + ', specificity ' + pct(m('specificity')) };
    }
    var timer;
    function draw() {
      learnt.textContent = D.points[point.value] ? 'threshold ' + D.points[point.value][1] : '';
      pointField.hidden = mode.value !== 'point'; sliderField.hidden = mode.value === 'point';
      sliderField.firstChild.textContent = mode.value === 'risk' ? 'Alarm from a risk of' : 'Find at least';
      shown.textContent = (slider.value / 10).toFixed(1) + '%' + (mode.value === 'target' ? ' of tumours' : '');
      slider.setAttribute('aria-valuetext', shown.textContent);
      if (!useStudy) q = Math.pow(10, prevalence.value / 100);
      else prevalence.value = Math.round(100 * Math.log10(q));
      prevalenceShown.textContent = q >= 0.1 ? (100 * q).toFixed(1) + '%' : (1000 * q).toFixed(1) + ' per 1,000';
      prevalence.setAttribute('aria-valuetext', prevalenceShown.textContent);
      atStudy.disabled = useStudy;
      var cards = D.arms.map(card);
      body.replaceChildren.apply(body, cards.map(function (c) { return c.node; }));
      clearTimeout(timer);
      timer = setTimeout(function () { said.textContent = cards.map(function (c) { return c.said; }).join('. '); }, 500);
    }
    mode.addEventListener('change', function () { slider.value = mode.value === 'risk' ? 100 : 900; draw(); });
    [point, seed, odds].forEach(function (c) { c.addEventListener('change', draw); });
    slider.addEventListener('input', draw);
    prevalence.addEventListener('input', function () { useStudy = false; draw(); });
    atStudy.addEventListener('click', function () { useStudy = true; q = study; draw(); prevalence.focus(); });
    live.hidden = false; root.querySelector('.explorer-static').hidden = true;
    draw();
  }
  var contents = document.querySelector('nav.contents > details');
  if (contents && window.matchMedia('(min-width: 75rem)').matches) contents.open = true;
  document.querySelectorAll('.explorer').forEach(start);
})();
