// The vendors' own clients against the sandbox: what they send is understood, what they get back they understand.
// SANDBOX_URL: a sandbox without limits; LIMITED_URL: one with the vendors' own.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DiscordAPIError, RateLimitError, REST } from '@discordjs/rest';
import { auth, sheets as newSheets } from '@googleapis/sheets';
import { Analytics } from '@segment/analytics-node';
import Airtable from 'airtable';
import { Routes } from 'discord-api-types/v10';

const url = process.env.SANDBOX_URL;
const limited = process.env.LIMITED_URL;

async function control(path, body, base = url) {
  const answer = await fetch(`${base}/_sandbox/${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  assert.equal(answer.status, 200, path);
  return answer.json();
}

const received = async (vendor) => (await control(`received?vendor=${vendor}`)).map((item) => item.received);

// ---- Airtable

function airtable(base, apiKey = 'sandbox-token', name = 'appSandbox') {
  return new Airtable({ apiKey, endpointUrl: `${base}/airtable`, noRetryIfRateLimited: true }).base(name);
}

test('airtable: create, list, upsert, update, destroy', async () => {
  const table = airtable(url)('Events');
  const made = await table.create(Array.from({ length: 10 }, (_, i) => ({ fields: { Name: `n${i}`, Count: i } })));
  assert.deepEqual(made.map((record) => record.get('Name')), Array.from({ length: 10 }, (_, i) => `n${i}`));
  const single = await table.create({ Name: 'one' }, { typecast: true });
  assert.match(single.id, /^rec/);
  const names = [];
  await table.select({ pageSize: 3 }).eachPage((records, next) => {
    names.push(...records.map((record) => record.get('Name')));
    next();
  });
  assert.equal(names.length, 11);
  const upserted = await table.update([{ fields: { Name: 'n1', Count: 10 } }, { fields: { Name: 'new' } }],
    { performUpsert: { fieldsToMergeOn: ['Name'] } });
  assert.equal(upserted[0].id, made[1].id);
  assert.ok(!made.some((record) => record.id === upserted[1].id));
  assert.equal((await table.find(made[1].id)).get('Count'), 10);
  assert.equal((await table.update(made[2].id, { User: 'ann' })).get('User'), 'ann');
  assert.equal((await table.destroy(made[0].id)).id, made[0].id);
});

test('airtable: its errors', async () => {
  const expect = async (promise, statusCode, error) => assert.rejects(promise, (e) => {
    assert.equal(e.statusCode, statusCode);
    assert.equal(e.error, error);
    return true;
  });
  await expect(airtable(url, 'wrong')('Events').create({ Name: 'x' }), 401, 'AUTHENTICATION_REQUIRED');
  await expect(airtable(url)('Nowhere').create({ Name: 'x' }), 403, 'NOT_AUTHORIZED');
  await expect(airtable(url, 'sandbox-token', 'appOther')('Events').create({ Name: 'x' }), 404, 'NOT_FOUND');
  await expect(airtable(url)('Events').create({ Nope: 'x' }), 422, 'UNKNOWN_FIELD_NAME');
  await expect(airtable(url)('Events').create(Array(11).fill({ fields: {} })), 422, 'INVALID_REQUEST_UNKNOWN');
  await control('faults', { vendor: 'airtable', status: 503 });
  await expect(airtable(url)('Events').create({ Name: 'x' }), 503, 'SERVICE_UNAVAILABLE');
});

test('airtable: five requests a second and base', async () => {
  const all = await Promise.allSettled(Array.from({ length: 30 }, () => airtable(limited)('Events').create({ Name: 'x' })));
  const refused = all.filter((one) => one.status === 'rejected');
  assert.ok(refused.length > 0 && refused.every((one) => one.reason.statusCode === 429), JSON.stringify(refused[0]?.reason));
});

// ---- Google Sheets

// Google's clients have their hosts built in: what goes to them is sent to the sandbox, as egress.rewrite does.
function redirect(client, base) {
  client.transporter.interceptors.request.add({
    resolved: async (config) => {
      const to = String(config.url)
        .replace('https://oauth2.googleapis.com', `${base}/google`)
        .replace('https://www.googleapis.com', `${base}/google`)
        .replace('https://sheets.googleapis.com', `${base}/sheets`);
      config.url = new URL(to);
      return config;
    },
  });
  return newSheets({ version: 'v4', auth: client, retry: false });
}

async function byAccount(options = {}) {
  const key = await control('google/service-account');
  return redirect(new auth.JWT({ email: key.client_email, key: key.private_key, keyId: key.private_key_id,
    scopes: ['https://www.googleapis.com/auth/spreadsheets'], ...options }), url);
}

function byToken(token, base = url) {
  const client = new auth.OAuth2();
  client.setCredentials({ access_token: token });
  return redirect(client, base);
}

test('sheets: a service account appends, reads, writes once', async () => {
  const sheets = await byAccount();
  const spreadsheetId = 'sandbox-sheet';
  const { data } = await sheets.spreadsheets.get({ spreadsheetId, fields: 'sheets.properties' });
  assert.deepEqual(data.sheets.slice(0, 2).map((sheet) => sheet.properties.title), ['Events', 'Other']);
  const appended = await sheets.spreadsheets.values.append({ spreadsheetId, range: 'Events!A:A', valueInputOption: 'RAW',
    insertDataOption: 'INSERT_ROWS', requestBody: { values: [['=x', 1, true], ['y', null, 'z']] } });
  assert.equal(appended.data.updates.updatedRange, 'Events!A2:C3');
  const read = await sheets.spreadsheets.values.get({ spreadsheetId, range: 'Events!A2:C3', valueRenderOption: 'UNFORMATTED_VALUE' });
  assert.deepEqual(read.data.values, [['=x', 1, true], ['y', '', 'z']]);
  const updated = await sheets.spreadsheets.values.update({ spreadsheetId, range: 'Other!B2', valueInputOption: 'USER_ENTERED',
    requestBody: { values: [['12']] } });
  assert.equal(updated.data.updatedRange, 'Other!B2');
  const requestBody = { requests: [
    { appendCells: { sheetId: 7, fields: 'userEnteredValue', rows: [{ values: [{ userEnteredValue: { stringValue: 'once' } }] }] } },
    { createDeveloperMetadata: { developerMetadata: { metadataId: 5, metadataKey: 'runnel', metadataValue: 'k',
      location: { spreadsheet: true }, visibility: 'PROJECT' } } },
  ] };
  const batch = await sheets.spreadsheets.batchUpdate({ spreadsheetId, requestBody });
  assert.equal(batch.data.replies[1].createDeveloperMetadata.developerMetadata.metadataId, 5);
  await assert.rejects(sheets.spreadsheets.batchUpdate({ spreadsheetId, requestBody }), { status: 400 });
  const mark = await sheets.spreadsheets.developerMetadata.get({ spreadsheetId, metadataId: 5 });
  assert.equal(mark.data.metadataValue, 'k');
});

test('sheets: its errors', async () => {
  const spreadsheetId = 'sandbox-sheet';
  await assert.rejects(byToken('wrong').spreadsheets.get({ spreadsheetId }), { status: 401 });
  const other = await byAccount({ scopes: ['https://www.googleapis.com/auth/calendar'] });
  await assert.rejects(other.spreadsheets.get({ spreadsheetId }), { status: 403 });
  const stranger = await byAccount({ email: 'somebody@else.iam.gserviceaccount.com' });
  await assert.rejects(stranger.spreadsheets.get({ spreadsheetId }), /invalid_grant|account not found/);
  await assert.rejects((await byAccount()).spreadsheets.get({ spreadsheetId: 'none' }), { status: 404 });
  await assert.rejects((await byAccount()).spreadsheets.values.append({ spreadsheetId, range: 'None!A:A',
    valueInputOption: 'RAW', requestBody: { values: [[1]] } }), { status: 400 });
});

test('sheets: sixty a minute and user', async () => {
  const sheets = byToken('sandbox-token', limited);
  const all = [];
  for (let i = 0; i < 6; i++)
    all.push(...await Promise.allSettled(Array.from({ length: 15 }, () => sheets.spreadsheets.get({ spreadsheetId: 'sandbox-sheet' }))));
  const refused = all.filter((one) => one.status === 'rejected');
  assert.ok(refused.length > 0 && refused.every((one) => one.reason.status === 429), String(refused[0]?.reason));
});

// ---- Segment

function analytics(base, writeKey = 'sandbox-write-key', more = {}) {
  return new Analytics({ writeKey, host: base, path: '/segment-tracking/v1/batch', flushInterval: 50, ...more });
}

const until = (client, event) => new Promise((resolve) => client.once(event, resolve));

test('segment: track, identify, group, alias, page, screen', async () => {
  const client = analytics(url);
  client.track({ userId: 'node', event: 'Tested', properties: { n: 1 }, messageId: 'node-1' });
  client.track({ userId: 'node', event: 'Tested', properties: { n: 1 }, messageId: 'node-1' });
  client.identify({ userId: 'node', traits: { email: 'a@b.c' } });
  client.group({ userId: 'node', groupId: 'g' });
  client.alias({ userId: 'node', previousId: 'old' });
  client.page({ userId: 'node', name: 'p' });
  client.screen({ anonymousId: 'node', name: 's' });
  await client.closeAndFlush();
  const got = (await received('segment')).filter((event) => event.userId === 'node' || event.anonymousId === 'node');
  assert.deepEqual(got.map((event) => event.$call), ['track', 'track', 'identify', 'group', 'alias', 'page', 'screen']);
  assert.deepEqual(got.map((event) => event.$discarded), [undefined, 'duplicate', ...Array(5).fill(undefined)]);
});

test('segment: a wrong write key is accepted and dropped, a failure is tried again', async () => {
  const client = analytics(url, 'wrong');
  client.track({ userId: 'wrong', event: 'x' });
  await client.closeAndFlush();
  assert.equal((await received('segment')).at(-1).$discarded, 'unknown_write_key');
  await control('faults', { vendor: 'segment-tracking', status: 503, times: 1 });
  const again = analytics(url);
  again.track({ userId: 'again', event: 'x' });
  await again.closeAndFlush({ timeout: 30000 });
  assert.equal((await received('segment')).filter((event) => event.userId === 'again').length, 1);
  await control('faults', { vendor: 'segment-tracking', status: 400, times: 1 });
  const refused = analytics(url, undefined, { maxRetries: 0 });
  const error = until(refused, 'error');
  refused.track({ userId: 'refused', event: 'x' });
  await refused.closeAndFlush();
  assert.ok(await error);
  assert.equal((await received('segment')).filter((event) => event.userId === 'refused').length, 0);
});

// ---- Discord

const rest = (base, more = {}) => new REST({ version: '10', api: `${base}/discord/api`, ...more });
const hook = Routes.webhook('1234567890', 'sandbox-token');
const execute = (client, body, query = { wait: 'true' }) =>
  client.post(hook, { body, auth: false, query: new URLSearchParams(query) });

test('discord: execute and read a webhook', async () => {
  const client = rest(url);
  assert.equal((await client.get(hook, { auth: false })).id, '1234567890');
  const message = await execute(client, { content: 'from discord.js', embeds: [{ title: 't' }] });
  assert.equal(message.content, 'from discord.js');
  assert.equal((await client.get(Routes.webhookMessage('1234567890', 'sandbox-token', message.id), { auth: false })).id, message.id);
  assert.equal((await received('discord')).at(-1).id, message.id);
});

test('discord: its errors', async () => {
  const expect = (promise, status, code) => assert.rejects(promise, (e) => {
    assert.ok(e instanceof DiscordAPIError);
    assert.equal(e.status, status);
    assert.equal(e.code, code);
    return true;
  });
  const client = rest(url);
  await expect(execute(client, { content: '' }), 400, 50006);
  await expect(execute(client, { content: 'x'.repeat(2001) }), 400, 50035);
  await expect(execute(client, { content: 'x' }, { thread_id: '9' }), 404, 10003);
  await expect(client.get(Routes.webhook('1234567890', 'wrong'), { auth: false }), 401, 50027);
  await expect(client.get(Routes.webhook('1', 'sandbox-token'), { auth: false }), 404, 10015);
});

test('discord: the client waits for the bucket that the sandbox names', async () => {
  const client = rest(limited);
  const all = await Promise.all(Array.from({ length: 8 }, (_, i) => execute(client, { content: `n${i}` })));
  assert.equal(all.length, 8);
  const strict = rest(limited, { rejectOnRateLimit: () => true });
  const some = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => execute(strict, { content: `s${i}` })));
  const refused = some.filter((one) => one.status === 'rejected');
  assert.ok(refused.length > 0 && refused.every((one) => one.reason instanceof RateLimitError), String(refused[0]?.reason));
});
