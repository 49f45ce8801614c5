// Shows /openapi.json: operations by area, with parameters, body, answers and a curl line.
'use strict';

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

let api;
const resolve = (schema) => {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.slice(2).split('/').reduce((at, key) => at[key], api);
};

const typeOf = (schema) => {
  if (schema.$ref) return schema.$ref.split('/').pop();
  const s = resolve(schema);
  if (s.enum) return s.enum.join(' | ');
  if (s.type === 'array') return typeOf(s.items || {}) + '[]';
  return Array.isArray(s.type) ? s.type.join(' | ') : s.type || 'any';
};

const rowsOf = (schema) => {
  const s = resolve(schema);
  return Object.entries(s.properties || {}).map(([name, p]) => ({
    name, type: typeOf(p), required: (s.required || []).includes(name),
    text: [p.description, p.default !== undefined ? `Default: ${JSON.stringify(p.default)}.` : '']
        .filter(Boolean).join(' '),
  }));
};

const table = (title, rows) => {
  if (!rows.length) return '';
  const body = make('tbody');
  for (const r of rows) {
    body.append(make('tr', {}, make('td', {}, make('code', {}, r.name + (r.required ? ' *' : ''))),
        make('td', {}, make('code', {}, r.type)), make('td', {}, r.text || '')));
  }
  const head = make('tr', {}, make('th', { scope: 'col' }, title), make('th', { scope: 'col' }, 'Type'),
      make('th', { scope: 'col' }, 'Meaning'));
  return make('table', {}, make('thead', {}, head), body);
};

const sample = (schema, depth = 0) => {
  const s = resolve(schema);
  if (s.examples) return s.examples[0];
  if (s.default !== undefined) return s.default;
  if (s.enum) return s.enum[0];
  if (s.type === 'object' && depth < 3) {
    const out = {};
    for (const [name, p] of Object.entries(s.properties || {})) {
      if ((s.required || []).includes(name)) out[name] = sample(p, depth + 1);
    }
    return out;
  }
  if (s.type === 'array') return [];
  if (s.type === 'integer' || s.type === 'number') return 1;
  if (s.type === 'boolean') return true;
  return s.type === 'string' ? 'text' : {};
};

const curl = (method, path, op) => {
  const lines = [`curl -X ${method.toUpperCase()} '${location.origin}${path}'`,
    `  -H 'Authorization: Bearer '"$REDOUBT_API_KEY"`];
  const json = op.requestBody && op.requestBody.content && op.requestBody.content['application/json'];
  if (json) {
    lines.push("  -H 'Content-Type: application/json'", `  -d '${JSON.stringify(sample(json.schema))}'`);
  }
  return lines.join(' \\\n');
};

const show = (method, path, op) => {
  const body = make('div', { class: 'body' });
  if (op.description) body.append(make('p', {}, op.description));
  body.append(table('Parameter', (op.parameters || []).map(resolve).map((p) => ({
    name: `${p.name} (${p.in})`, type: typeOf(p.schema || {}), required: p.required,
    text: p.description }))));
  for (const [type, media] of Object.entries((op.requestBody || {}).content || {})) {
    body.append(table(`Body, ${type}`, rowsOf(media.schema)));
  }
  for (const [status, answer] of Object.entries(op.responses || {})) {
    const media = Object.entries(resolve(answer).content || {})[0];
    if (media && status < '300') body.append(table(`Answer ${status}`, rowsOf(media[1].schema)));
  }
  body.append(make('pre', {}, make('code', {}, curl(method, path, op))));
  const summary = make('summary', {}, make('span', { class: 'method' }, method.toUpperCase()),
      make('span', { class: 'path' }, path), make('span', { class: 'what' }, op.summary || ''));
  const node = make('details', { id: op.operationId }, summary, body);
  node.dataset.text = [method, path, op.operationId, op.summary].join(' ').toLowerCase();
  return node;
};

const render = () => {
  const main = document.getElementById('operations');
  const areas = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, op] of Object.entries(item)) {
      if (!op.operationId) continue;
      const area = (op.tags || ['other'])[0];
      if (!areas.has(area)) areas.set(area, make('section', {}, make('h2', {}, area)));
      areas.get(area).append(show(method, path, op));
    }
  }
  main.append(...areas.values());
  document.getElementById('about').textContent = `Version ${api.info.version}. ${api.info.description || ''}`;
};

const filter = document.getElementById('filter');
filter.addEventListener('input', () => {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const node of document.querySelectorAll('details')) {
    node.hidden = !wanted.every((word) => node.dataset.text.includes(word));
  }
  for (const section of document.querySelectorAll('section')) {
    section.hidden = !section.querySelector('details:not([hidden])');
  }
});
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== filter) {
    event.preventDefault();
    filter.focus();
  }
});

fetch('/openapi.json')
    .then((answer) => answer.json())
    .then((document_) => { api = document_; render(); })
    .catch((error) => { document.getElementById('about').textContent = `Could not read /openapi.json: ${error}`; });
