// Copy and CSV of every table; text copied from the page has ASCII minus signs.
(function () {
  'use strict';
  const plain = (text) => text.replace(/\u2212/g, '-').replace(/\u00a0/g, ' ');
  const cell = (node) => {
    const copy = node.cloneNode(true);
    copy.querySelectorAll('svg, [aria-hidden="true"]').forEach((hidden) => hidden.remove());
    return plain(copy.textContent.replace(/\s+/g, ' ').trim());
  };
  const rows = (table) => [...table.rows].map((row) => [...row.cells].map(cell));
  const csv = (table) => rows(table).map((row) => row.map((text) =>
    /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text).join(',')).join('\r\n') + '\r\n';
  const tabbed = (table) => rows(table).map((row) => row.join('\t')).join('\n');
  let copied = null;
  const status = document.createElement('p');
  status.className = 'visually-hidden';
  status.setAttribute('role', 'status');
  document.body.append(status);

  function button(name, label, act) {
    const made = document.createElement('button');
    made.type = 'button';
    made.textContent = name;
    made.setAttribute('aria-label', label);
    made.addEventListener('click', act);
    return made;
  }

  document.querySelectorAll('main table').forEach((table) => {
    const frame = table.closest('.scroll');
    if (!frame || frame.classList.contains('html') || !table.caption) return;
    const title = cell(table.caption), bar = document.createElement('div');
    bar.className = 'tools';
    bar.append(button('Copy', 'Copy the table: ' + title, () => {
      const range = document.createRange(), selection = document.getSelection();
      range.selectNode(table);
      selection.removeAllRanges();
      selection.addRange(range);
      copied = tabbed(table);
      status.textContent = document.execCommand('copy') ? 'Table copied' : 'The browser did not allow copying';
      copied = null;
      selection.removeAllRanges();
    }), button('CSV', 'Save the table as CSV: ' + title, () => {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob(['\ufeff' + csv(table)], { type: 'text/csv' }));
      link.download = title.toLowerCase().replace(/[^a-z0-9]+/g, '_').slice(0, 60) + '.csv';
      link.click();
      URL.revokeObjectURL(link.href);
    }));
    frame.before(bar);
  });

  document.addEventListener('copy', (event) => {
    const selection = document.getSelection();
    if (!selection || selection.isCollapsed || !event.clipboardData) return;
    const holder = document.createElement('div');
    for (let i = 0; i < selection.rangeCount; i += 1) holder.append(selection.getRangeAt(i).cloneContents());
    holder.querySelectorAll('svg, [aria-hidden="true"]').forEach((hidden) => hidden.remove());
    event.clipboardData.setData('text/html', plain(holder.innerHTML));
    event.clipboardData.setData('text/plain', copied === null ? plain(String(selection)) : copied);
    event.preventDefault();
  });

  // On a narrow screen figures scroll sideways, also by keyboard.
  if (matchMedia('(max-width: 24rem)').matches) document.querySelectorAll('.figure').forEach((figure) => { figure.tabIndex = 0; });
  if (matchMedia('(min-width: 75rem)').matches) document.querySelector('nav details').open = true;

  // A link into a folded part opens it.
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let node = target; node; node = node.parentElement) if (node.tagName === 'DETAILS') node.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener('hashchange', open);
  open();
}());
