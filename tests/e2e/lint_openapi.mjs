// Lints an OpenAPI document with Redocly's recommended rules, warnings included:
//   node lint_openapi.mjs openapi.json
// Prints one line per problem; exit status 1 if there is any.
import core from '@redocly/openapi-core';

const config = await core.createConfig({ extends: ['recommended'] });
const problems = await core.lint({ ref: process.argv[2], config });
for (const { severity, ruleId, message, location } of problems) {
  console.log(`${severity} ${ruleId}: ${message} (${location.map((l) => l.pointer).join(', ')})`);
}
process.exitCode = problems.length ? 1 : 0;
