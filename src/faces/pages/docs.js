// Shows /openapi.json: operations by area, each with its parameters, body, answers and commands.
'use strict';

const byId = (id) => document.getElementById(id);

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

// Text in which `this` is code.
const prose = (text) => (text || '').split('`').map((part, i) => i % 2 ? make('code', {}, part) : part);

const paragraphs = (text) => (text || '').split(/\n{2,}/).filter(Boolean)
    .map((part) => make('p', {}, ...prose(part)));

let api;
const resolve = (schema) => {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.slice(2).split('/').reduce((at, key) => at[key], api);
};

// Schemas in words

const isDuration = (schema) => (schema.anyOf || []).some((s) => (s.pattern || '').includes('ms|s|m|h|d'));

const seconds = (n) => {
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['m', 60]]) {
    if (n >= size && n % size === 0) return n / size + unit;
  }
  return n === 0 ? '0' : n < 1 ? n * 1000 + 'ms' : n + 's';
};

const range = (low, high, unit = String) => {
  if (low === undefined && high === undefined) return '';
  if (low === undefined) return `up to ${unit(high)}`;
  return high === undefined ? `from ${unit(low)}` : `${unit(low)} to ${unit(high)}`;
};

const typeOf = (schema) => {
  const s = resolve(schema);
  if (isDuration(s)) return 'duration';
  if (s.anyOf) return [...new Set(s.anyOf.map(typeOf))].join(' or ');
  if (s.enum) return s.enum.join(' | ');
  if (s.type === 'array') return `array of ${typeOf(s.items || {})}`;
  if (s.format === 'date-time') return 'time';
  return Array.isArray(s.type) ? s.type.join(' or ') : s.type || 'any JSON';
};

const boundsOf = (schema) => {
  const s = resolve(schema);
  if (isDuration(s)) {
    const number = s.anyOf.find((alternative) => alternative.type === 'number') || {};
    return range(number.minimum, number.maximum, seconds);
  }
  const length = range(s.minLength || undefined, s.maxLength);
  const items = range(s.minItems || undefined, s.maxItems);
  return [range(s.minimum, s.maximum), length && `${length} bytes`, items && `${items} items`]
      .filter(Boolean).join(', ');
};

// One row per member; members of members under dotted names.
const rowsOf = (schema, prefix = '', depth = 0) => {
  const s = resolve(schema);
  const rows = [];
  for (const [name, property] of Object.entries(s.properties || {})) {
    const p = { ...resolve(property), ...property };
    rows.push({ name: prefix + name, schema: p, required: (s.required || []).includes(name),
      text: p.description });
    const inner = p.type === 'array' ? resolve(p.items) : p;
    if (depth < 3 && inner.properties) {
      rows.push(...rowsOf(inner, `${prefix}${name}${p.type === 'array' ? '[]' : ''}.`, depth + 1));
    }
  }
  return rows;
};

const table = (title, rows, asks) => {
  if (!rows.length) return '';
  const body = make('tbody');
  for (const { name, schema, required, text } of rows) {
    const what = make('td', {}, ...prose(text));
    if (schema.default !== undefined) {
      what.append(text ? ' ' : '', 'Default: ', make('code', {}, JSON.stringify(schema.default)), '.');
    }
    const first = make('td', {}, make('code', {}, name));
    if (asks && required) first.append(make('span', { class: 'must' }, 'required'));
    const bounds = boundsOf(schema);
    body.append(make('tr', {}, first, make('td', {}, make('code', {}, typeOf(schema)),
        bounds ? `, ${bounds}` : ''), what));
  }
  return make('div', {}, make('h3', {}, title), make('div', { class: 'scroll' }, make('table', {}, body)));
};

// Commands

const sample = (schema, depth = 0) => {
  const s = resolve(schema);
  if (s.examples) return s.examples[0];
  if (s.default !== undefined) return s.default;
  if (s.enum) return s.enum[0];
  if (isDuration(s)) return '30s';
  if (s.anyOf) return sample(s.anyOf[0], depth);
  if (s.type === 'object' && depth < 4) {
    const out = {};
    for (const [name, p] of Object.entries(s.properties || {})) {
      if ((s.required || []).includes(name)) out[name] = sample(p, depth + 1);
    }
    return out;
  }
  if (s.type === 'array') return s.minItems ? [sample(s.items, depth + 1)] : [];
  if (s.type === 'integer' || s.type === 'number') return s.minimum || 1;
  if (s.type === 'boolean') return true;
  return s.type === 'string' ? '...' : {};
};

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
const parametersOf = (op) => (op.parameters || []).map(resolve);

const curl = (method, path, op) => {
  const query = parametersOf(op).filter((p) => p.in === 'query' && p.required)
      .map((p) => `${p.name}=${encodeURIComponent(sample(p.schema))}`).join('&');
  const filled = path.replace(/{(\w+)}/g, (whole, name) => {
    const p = parametersOf(op).find((candidate) => candidate.name === name && candidate.in === 'path');
    return p && p.schema.examples ? encodeURIComponent(p.schema.examples[0]) : whole;
  });
  const content = (op.requestBody || {}).content || {};
  const verb = method === 'get' || (method === 'post' && op.requestBody) ? '' : `-X ${method.toUpperCase()} `;
  const lines = [`curl ${verb}${quoted(location.origin + filled + (query && '?' + query))}`];
  if ((op.security || []).length) {
    const session = op.security.every((one) => 'sessionToken' in one);
    lines.push(`  -H "Authorization: Bearer $${session ? 'TOKEN' : 'REDOUBT_API_KEY'}"`);
  }
  if (content['application/json']) {
    lines.push("  -H 'Content-Type: application/json'",
        `  -d ${quoted(JSON.stringify(sample(content['application/json'].schema)))}`);
  } else if (op.requestBody) {
    lines.push("  -H 'Content-Type: text/plain'", "  --data-binary 'the value'");
  }
  return lines.join(' \\\n');
};

const call = (op) => {
  const values = parametersOf(op).filter((p) => p.required).map((p) => [p.name, sample(p.schema)]);
  const json = ((op.requestBody || {}).content || {})['application/json'];
  if (json) values.push(...Object.entries(sample(json.schema)));
  return ['redoubt call', op.operationId, ...values.map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return /^[\w.:/@-]*$/.test(text) ? `${name}=${text}` : quoted(`${name}=${text}`);
  })].join(' ');
};

const command = (text) => {
  const button = make('button', { type: 'button' }, 'Copy');
  button.addEventListener('click', () => {
    navigator.clipboard.writeText(text)
        .then(() => { button.textContent = 'Copied'; })
        .catch(() => { button.textContent = 'Not allowed'; })
        .then(() => setTimeout(() => { button.textContent = 'Copy'; }, 1500));
  });
  // Over plain HTTP from another machine there is no clipboard.
  return make('div', { class: 'command' }, make('pre', { tabindex: '0' }, make('code', {}, text)),
      navigator.clipboard ? button : '');
};

// Operations

const answers = (op) => {
  const parts = [];
  const problems = [];
  for (const [status, answer] of Object.entries(op.responses || {})) {
    const { description, content } = resolve(answer);
    if (/^[45]/.test(status)) problems.push({ status, description });
    if (!/^2/.test(status)) continue;
    const media = Object.entries(content || {})[0];
    const rows = media ? rowsOf(media[1].schema) : [];
    if (rows.length) parts.push(table(`Answer ${status}`, rows, false));
    else parts.push(make('h3', {}, `Answer ${status}`), make('p', {}, media ? 'The value itself.' : 'No body.'));
  }
  const body = make('tbody');
  for (const { status, description } of problems) {
    body.append(make('tr', {}, make('td', {}, make('code', {}, status)), make('td', {}, ...prose(description))));
  }
  if (problems.length) parts.push(make('h3', {}, 'Refusals'), make('table', {}, body));
  return parts;
};

const detail = (method, path, op) => {
  const body = make('div', { class: 'body' }, ...paragraphs(op.description));
  for (const [where, title] of [['path', 'Path'], ['query', 'Query'], ['header', 'Header fields']]) {
    const found = parametersOf(op).filter((p) => p.in === where);
    body.append(table(title, found.map((p) => ({ ...p, schema: p.schema || {}, text: p.description })), true));
  }
  for (const [type, media] of Object.entries((op.requestBody || {}).content || {})) {
    body.append(table(`Body, ${type}`, rowsOf(media.schema), true));
  }
  body.append(make('h3', {}, 'Try it'), command(curl(method, path, op)), command(call(op)), ...answers(op));
  return body;
};

const show = (method, path, op) => {
  const verb = method.toUpperCase();
  const parts = path.split(/({\w+})/).map((part) => part.startsWith('{') ? make('i', {}, part) : part);
  const line = make('span', { class: 'line' }, make('span', { class: 'path' }, ...parts),
      make('span', { class: 'what' }, op.summary || ''));
  const node = make('details', { id: op.operationId },
      make('summary', { title: op.operationId }, make('span', { class: `method ${verb}` }, verb), line));
  node.append(detail(method, path, op));
  node.dataset.text = [method, path, op.operationId, op.summary].join(' ').toLowerCase();
  return node;
};

const entry = (op) => {
  const link = make('a', { href: `#${op.operationId}` }, op.operationId.split('.').slice(1).join('.') || op.operationId);
  link.title = op.summary || '';
  link.dataset.of = op.operationId;
  return link;
};

const render = () => {
  const areas = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, op] of Object.entries(item)) {
      if (!op.operationId) continue;
      const area = op.operationId.split('.')[0].replaceAll('_', ' ');
      if (!areas.has(area)) {
        areas.set(area, { section: make('section', {}, make('h2', {}, area)),
          links: make('div', {}, make('h2', {}, area)) });
      }
      areas.get(area).section.append(show(method, path, op));
      areas.get(area).links.append(entry(op));
    }
  }
  for (const { section, links } of areas.values()) {
    byId('operations').append(section);
    byId('contents').append(links);
  }
  byId('version').textContent = api.info.version;
  byId('about').replaceChildren(...paragraphs(api.info.description));
};

// Finding them

const filter = byId('filter');

const narrow = () => {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = document.querySelectorAll('details');
  let shown = 0;
  for (const node of all) {
    node.hidden = !wanted.every((word) => node.dataset.text.includes(word));
    if (!node.hidden) ++shown;
  }
  for (const link of document.querySelectorAll('nav a')) link.hidden = byId(link.dataset.of).hidden;
  for (const group of document.querySelectorAll('section')) {
    group.hidden = !group.querySelector('details:not([hidden])');
  }
  for (const group of document.querySelectorAll('nav > div')) group.hidden = !group.querySelector('a:not([hidden])');
  byId('about').hidden = wanted.length > 0;
  byId('count').textContent = wanted.length ? `${shown} of ${all.length} operations` : `${all.length} operations`;
};

const openTarget = () => {
  const node = byId(decodeURIComponent(location.hash.slice(1)));
  if (!node || node.tagName !== 'DETAILS') return;
  if (node.hidden) {
    filter.value = '';
    narrow();
  }
  node.open = true;
  node.scrollIntoView();
};

filter.addEventListener('input', narrow);
window.addEventListener('hashchange', openTarget);
byId('operations').addEventListener('toggle', (event) => {
  if (event.target.open) history.replaceState(null, '', `#${event.target.id}`);
}, true);
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== filter && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    filter.select();
  } else if (event.key === 'Escape' && filter.value) {
    filter.value = '';
    narrow();
    filter.blur();
  } else if (event.key === 'Enter' && document.activeElement === filter) {
    const first = document.querySelector('details:not([hidden])');
    if (first) location.hash = first.id;
  }
});

fetch('/openapi.json')
    .then((answer) => answer.json())
    .then((description) => {
      api = description;
      render();
      narrow();
      openTarget();
    })
    .catch((error) => { byId('about').textContent = `Could not read /openapi.json: ${error}`; });
