package relayfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// planted is part of each secret of the tests, and of nothing else.
const planted = "hunter2"

// testEnv are the variables of the tests.
var testEnv = map[string]string{
	"KEY": planted + "abcdefghijklmnopqrstuvwxy", "TOKEN": planted + "-token", "OTHER": planted + "-b",
	"BASIC": "bridge:" + planted, "NO_BASIC": planted, "NO_KEY": planted + "short",
	"CHAT":   "https://open.feishu.cn/open-apis/bot/v2/hook/" + planted,
	"NO_URL": "open.feishu.cn/" + planted, "METADATA": "http://169.254.169.254/" + planted,
	"SIGN": planted + "-sign", "HEADER": planted + "-header", "BAD_HEADER": planted + "\na",
}

func testLoader() *Loader {
	return &Loader{Getenv: func(name string) string { return testEnv[name] }}
}

// ending are sources that are good.
const ending = "\nsources: {default: {tokens: [env:TOKEN]}}\n"

// pager is a lane that is good.
const pager = "lanes: {pd: {type: pagerduty, key: env:KEY}}" + ending

// broken are files that cannot work, each with what Load says of it. The lines are where a person
// would look first.
var broken = []struct{ name, file, want string }{
	{"empty", "", "1:1: the file is empty; docs/configuration.md has examples"},
	{"a comment alone", "# nothing\n",
		`1:1: the file is empty; docs/configuration.md has examples`},
	{"a list", "- lanes\n",
		`1:1: must be a mapping; see docs/configuration.md`},
	{"two documents", pager + "---\n" + pager,
		`3:1: the file has several documents; keep one of them`},
	{"a tab", "lanes:\n\tpd: {}\n",
		`2:1: not YAML: found character ' ' that cannot start any token; correct the YAML`},
	{"an open quote", "lanes:\n  pd: {type: \"pagerduty}\n",
		`2:14: not YAML: could not find end character of double-quoted text; correct the YAML`},
	{"an open list", "sources: {default: {tokens: [env:TOKEN}}\n",
		`1:39: not YAML: value is not allowed in this context. map key-value is pre-defined; correct the YAML`},
	{"an unknown section", "lines: {}\n" + pager,
		`1:1: lines: unknown field; the fields here are sources, lanes, routes, fallback, watch, limits, store, listeners`},
	{"a misspelt field", "lanes:\n  pd:\n    type: pagerduty\n    kye: env:KEY" + ending,
		`4:5: lanes.pd.kye: unknown field; the fields here are type, key, region, base_url, severities, min_level, ignore_muted, keep_open, sibling, changes, formerly, per_minute, concurrency, attempt_timeout, max_attempts, max_age`},
	{"a secret as a field", "lanes:\n  pd:\n    type: pagerduty\n    hunter2: x" + ending,
		`4:5: lanes.pd.(not shown): unknown field; the fields here are type, key, region, base_url, severities, min_level, ignore_muted, keep_open, sibling, changes, formerly, per_minute, concurrency, attempt_timeout, max_attempts, max_age`},
	{"a lane twice", "lanes:\n  pd: {type: log}\n  pd: {type: log}" + ending,
		`3:3: pd is there twice; remove one of the two`},
	{"a mapping for a list", pager + "routes: {lanes: [pd]}\n",
		`3:9: routes: must be a list; see docs/configuration.md`},
	{"text for a number", "lanes: {pd: {type: log, per_minute: hunter2}}" + ending,
		`1:37: lanes.pd.per_minute: must be a whole number; see docs/configuration.md`},
	{"a list for a lane", "lanes:\n  pd: [pagerduty]" + ending,
		`2:7: lanes.pd: must be a mapping; see docs/configuration.md`},
	{"no sources", "lanes: {pd: {type: log}}\n",
		`1:1: sources: nothing says who may send webhooks; add sources with tokens, basic or allow`},
	{"no lanes", "sources: {default: {tokens: [env:TOKEN]}}\n",
		`1:1: lanes: there is no lane; add one, with its type`},
	{"a watch without a lane", pager + "watch: {stuck: 5m}\n",
		`3:1: watch.lane: is missing; the lanes are pd`},
	{"a watch with an unknown lane", pager + "watch: {lane: oncall}\n",
		`3:15: watch.lane: there is no lane "oncall"; the lanes are pd`},
	{"a store that is fuller than full", pager + "watch: {lane: pd, full: 101}\n",
		`3:25: watch.full: 101 is too large; write 1 to 100`},
	{"a silence that is no time", pager + "watch: {lane: pd, silence: soon}\n",
		`3:28: watch.silence: "soon" is not a time; write 90s, 15m or 72h`},
	{"a heartbeat without an address", pager + "watch: {lane: pd, heartbeat_every: 1m}\n",
		`3:36: watch.heartbeat_every: there is no heartbeat; add heartbeat_url, or remove it`},
	{"a heartbeat too often", pager + "watch: {lane: pd, heartbeat_url: env:CHAT, heartbeat_every: 1s}\n",
		`3:61: watch.heartbeat_every: 1s is too short; write at least 5s`},
	{"the address of a switch in the file", pager + "watch: {lane: pd, heartbeat_url: 'https://a/hunter2'}\n",
		`3:34: watch.heartbeat_url: is not a reference to a secret; put the secret into a variable or a file, and write env:NAME or file:PATH`},
	{"a switch at a private address", pager + "watch: {lane: pd, heartbeat_url: env:METADATA}\n",
		`3:34: watch.heartbeat_url: has the address 169.254.169.254, which is neither on the public internet nor in an allowed network; correct what the reference stands for, or see heartbeat_networks`},
	{"a certificate without its key", pager + "listeners: {tls_cert: cert.pem}\n",
		`3:1: listeners.tls_key: is missing; add it, or remove tls_cert`},
	{"a key without its certificate", pager + "listeners: {tls_key: key.pem}\n",
		`3:1: listeners.tls_cert: is missing; add it, or remove tls_key`},
	{"a certificate that is missing", pager + "listeners: {tls_cert: cert.pem, tls_key: key.pem}\n",
		`3:23: listeners.tls_cert: open cert.pem: no such file or directory; write the paths of two files in PEM that fit together`},
	{"a heartbeat beside no_auth", "lanes: {pd: {type: log}}\nsources: {default: {no_auth: true}}\n" +
		"watch: {lane: pd, heartbeat_url: env:CHAT}\n",
		`3:34: watch.heartbeat_url: a heartbeat comes with a token, and the source default takes webhooks without a secret; give the source default a secret or networks`},
	{"a lane with a name of the relay", "lanes: {relay-heartbeat: {type: log}}" + ending,
		`1:9: lanes.relay-heartbeat: the relay itself uses the name; choose another name`},
	{"a source with a name of the relay", "lanes: {pd: {type: log}}\nsources: {relay-watch: {tokens: [env:TOKEN]}}\n",
		`2:11: sources.relay-watch: the relay itself uses the name; choose another name`},
	{"no type", "lanes:\n  pd: {key: env:KEY}" + ending,
		`2:3: lanes.pd.type: is missing; write pagerduty, webhook or log`},
	{"an unknown type", "lanes:\n  pd: {type: pagerdooty}" + ending,
		`2:14: lanes.pd.type: unknown value; write one of pagerduty, webhook, log`},
	{"no key", "lanes:\n  pd:\n    type: pagerduty" + ending,
		`2:3: lanes.pd.key: is missing; add it: a secret is written as env:NAME or file:PATH`},
	{"a key in the file", "lanes:\n  pd:\n    type: pagerduty\n    key: hunter2abcdefghijklmnopqrstuvwxy" +
		ending,
		`4:10: lanes.pd.key: is not a reference to a secret; put the secret into a variable or a file, and write env:NAME or file:PATH`},
	{"a variable that is not set", "lanes:\n  pd:\n    type: pagerduty\n    key: env:NONE" + ending,
		`4:10: lanes.pd.key: the environment variable NONE is not set; set it where the server is started`},
	{"a key of a REST API", "lanes:\n  pd:\n    type: pagerduty\n    key: env:NO_KEY" + ending,
		`4:10: lanes.pd.key: routing key has 12 characters, not 32; use the 32-character Integration Key of an Events API v2 integration`},
	{"a file that is missing", "lanes:\n  pd:\n    type: pagerduty\n    key: file:none" + ending,
		`4:10: lanes.pd.key: stat none: no such file or directory; correct the file or the path`},
	{"a field of another type", "lanes:\n  pd:\n    type: pagerduty\n    key: env:KEY\n    format: slack" +
		ending,
		`5:13: lanes.pd.format: a lane of type pagerduty has no such field; remove it`},
	{"a region", "lanes:\n  pd: {type: pagerduty, key: env:KEY, region: mars}" + ending,
		`2:47: lanes.pd.region: unknown value; write one of us, eu`},
	{"plain http", "lanes:\n  pd:\n    type: pagerduty\n    key: env:KEY\n    base_url: http://pd.example" +
		ending,
		`5:15: lanes.pd.base_url: base_url "http://pd.example" is not https; the routing key must not travel in the clear (http is allowed to the loopback only)`},
	{"a secret in base_url", "lanes:\n  pd:\n    type: pagerduty\n    key: env:KEY\n" +
		"    base_url: https://u:hunter2@pd.example" + ending,
		`5:15: lanes.pd.base_url: base_url must not hold a user name or password; set a proxy or a Transport instead`},
	{"a severity", "lanes:\n  pd:\n    type: pagerduty\n    key: env:KEY\n    severities: {info: loud}" +
		ending,
		`5:24: lanes.pd.severities.info: unknown value; write critical, error, warning, info or ignored`},
	{"a level", "lanes:\n  pd:\n    type: pagerduty\n    key: env:KEY\n    severities: {loud: info}" +
		ending,
		`5:24: lanes.pd.severities.loud: there is no level "loud"; the levels are info, nodata, warning, error, critical, fatal and none`},
	{"zero per minute", "lanes:\n  pd: {type: log, per_minute: 0}" + ending,
		`2:31: lanes.pd.per_minute: 0 is too small; write a number of at least 1, or remove the field`},
	{"a time", "lanes:\n  pd: {type: log, max_age: 3 days}" + ending,
		`2:28: lanes.pd.max_age: "3 days" is not a time; write 90s, 15m or 72h`},
	{"formerly a lane", "lanes:\n  a: {type: log}\n  b: {type: log, formerly: a}" + ending,
		`3:28: lanes.b.formerly: there is a lane "a"; remove that lane or this field`},
	{"formerly twice", "lanes:\n  a: {type: log, formerly: x}\n  b: {type: log, formerly: x}" + ending,
		`3:28: lanes.b.formerly: lane "a" takes over the same lane; remove one of the two`},
	{"a URL in the file", "lanes:\n  chat:\n    type: webhook\n    url: https://x.example/hunter2" + ending,
		`4:10: lanes.chat.url: is not a reference to a secret; put the secret into a variable or a file, and write env:NAME or file:PATH`},
	{"not a URL", "lanes:\n  chat: {type: webhook, url: env:NO_URL}" + ending,
		`2:30: lanes.chat.url: has to begin with http:// or https:// and a host; correct what the reference stands for, or see allowed_networks`},
	{"an address that is refused", "lanes:\n  chat: {type: webhook, url: env:METADATA}" + ending,
		`2:30: lanes.chat.url: has the address 169.254.169.254, which is neither on the public internet nor in an allowed network; correct what the reference stands for, or see allowed_networks`},
	{"a format", "lanes:\n  chat: {type: webhook, url: env:CHAT, format: irc}" + ending,
		`2:48: lanes.chat.format: unknown value; write one of event, template, feishu, dingtalk, wecom, slack, teams`},
	{"a template without its format", "lanes:\n  chat: {type: webhook, url: env:CHAT, template: x}" + ending,
		`2:50: lanes.chat.template: only the format template has a template; write format: template, or remove it`},
	{"a template that is not one", "lanes:\n  chat:\n    type: webhook\n    url: env:CHAT\n" +
		"    format: template\n    template: |\n      {\"token\": \"hunter2\",\n" +
		"       \"x\": {{jsn .}}}" + ending,
		`6:15: lanes.chat.template: calls a function that does not exist, in line 2 of the template; see text/template, and webhooksink.Payload for the fields; the functions json and secret are there too`},
	{"a field of a template", "lanes:\n  chat:\n    type: webhook\n    url: env:CHAT\n" +
		"    format: template\n    template: '{\"hunter2\": {{json .Titel}}}'" + ending,
		`6:15: lanes.chat.template: names a field that no event has, in line 1 of the template; see text/template, and webhooksink.Payload for the fields; the functions json and secret are there too`},
	{"a template of no JSON", "lanes:\n  chat:\n    type: webhook\n    url: env:CHAT\n" +
		"    format: template\n    template: '{\"text\": {{.Data.Title}}, \"hunter2\"}'" + ending,
		`6:15: lanes.chat.template: makes a body that is not JSON from byte 10 on: write values with {{json …}}, or set the content type; see text/template, and webhooksink.Payload for the fields; the functions json and secret are there too`},
	{"a signing key", "lanes:\n  chat: {type: webhook, url: env:CHAT, format: slack, signing_key: env:SIGN}" +
		ending,
		`2:68: lanes.chat.signing_key: only feishu and dingtalk have one; remove it`},
	{"a secret of Standard Webhooks", "lanes:\n  chat: {type: webhook, url: env:CHAT, secrets: [env:SIGN]}" +
		ending,
		`2:40: lanes.chat.secrets: has no whsec_ at the beginning of number 1; write whsec_ and the base64 of 24 to 64 random bytes`},
	{"a secret header", "lanes:\n  chat:\n    type: webhook\n    url: env:CHAT\n    headers:\n" +
		"      Authorization: Bearer hunter2" + ending,
		`6:22: lanes.chat.headers.Authorization: the value of this header may be a secret; put the secret into a variable or a file, and write env:NAME or file:PATH`},
	{"a header of two lines", "lanes:\n  chat:\n    type: webhook\n    url: env:CHAT\n    headers:\n" +
		"      Authorization: env:BAD_HEADER" + ending,
		`5:5: lanes.chat.headers: has a value of Authorization with characters that HTTP does not allow, such as a newline at the end of a file; remove or correct it`},
	{"a header of the relay", "lanes:\n  chat:\n    type: webhook\n    url: env:CHAT\n    headers:\n" +
		"      Content-Type: text/plain" + ending,
		`5:5: lanes.chat.headers: has Content-Type, which the sink sets; remove or correct it`},
	{"a lane that is not there", pager + "routes:\n  - when: level >= critical\n    lanes: [pager]\n",
		`5:13: routes[0].lanes[0]: there is no lane "pager"; the lanes are pd`},
	{"a fallback that is not there", pager + "fallback: chat\n",
		`3:11: fallback: there is no lane "chat"; the lanes are pd`},
	{"a lane twice in a route", pager + "routes:\n  - lanes: [pd, pd]\n",
		`4:17: routes[0].lanes[1]: lane "pd" is there twice; remove one of the two`},
	{"a route without lanes", pager + "routes:\n  - when: level >= critical\n",
		`4:9: routes[0].lanes: is missing; name lanes, or write [] for nobody`},
	{"a route that is never reached", pager + "routes:\n  - lanes: [pd]\n  - lanes: []\n",
		`5:10: routes[1]: is never reached: the route before takes every event; add when or continue to the route before, or remove this one`},
	{"a lane without a route", pager + "routes:\n  - lanes: []\n",
		`1:9: lanes.pd: no route leads to this lane; add it to a route, make it the fallback, or remove it`},
	{"an unknown name", pager + "routes:\n  - when: levle >= critical\n    lanes: [pd]\n",
		`4:11: routes[0].when: unknown name levle (at character 1); the names are level, state, kind, tags, labels, workspace.id, workspace.name, monitor.id, monitor.name, policy, title and source, and the levels without quotes`},
	{"a level in quotes", pager + "routes:\n  - when: level == \"critical\"\n    lanes: [pd]\n",
		`4:11: routes[0].when: a level is compared with text (at character 7); write it without quotes: level >= critical`},
	{"no condition", pager + "routes:\n  - when: title\n    lanes: [pd]\n",
		`4:11: routes[0].when: the expression is not true or false; compare something, as in level >= critical`},
	{"a kind that does not exist", pager + "routes:\n  - when: kind == \"sloo\"\n    lanes: [pd]\n",
		`4:11: routes[0].when: kind is never "sloo": it is one of fault, recovery, nodata, info, slo, intelligent, security, external, custom, change, audit, issue, incident, text, test, unknown (at character 9); see the section on expressions in docs/configuration.md`},
	{"not an expression", pager + "routes:\n  - when: level >=\n    lanes: [pd]\n",
		`4:11: routes[0].when: unexpected token EOF (at character 8); see the section on expressions in docs/configuration.md`},
	{"a name of a tag", pager + "routes:\n  - when: workspace == \"a\"\n    lanes: [pd]\n",
		`4:11: routes[0].when: a workspace and a monitor have an id and a name (at character 11); write workspace.id, workspace.name, monitor.id or monitor.name`},
	{"a source that is not there", pager + "routes:\n  - when: source == \"a\"\n    lanes: [pd]\n",
		`4:11: routes[0].when: source is never "a": it is one of default (at character 11); see the section on expressions in docs/configuration.md`},
	{"a token in the file", "lanes: {pd: {type: log}}\nsources:\n  default:\n    tokens: [hunter2]\n",
		`4:14: sources.default.tokens[0]: is not a reference to a secret; put the secret into a variable or a file, and write env:NAME or file:PATH`},
	{"a secret of two sources", "lanes: {pd: {type: log}}\nsources:\n  a: {tokens: [env:TOKEN]}\n" +
		"  b: {tokens: [env:TOKEN]}\n",
		`4:16: sources.b.tokens[0]: the secret is also that of sources.a.tokens[0]; give each source its own`},
	{"basic", "lanes: {pd: {type: log}}\nsources:\n  a: {basic: [env:NO_BASIC]}\n",
		`3:15: sources.a.basic[0]: the secret is not user:password; write both, with a colon between them`},
	{"a network", "lanes: {pd: {type: log}}\nsources:\n  a: {allow: [192.0.2.0/33]}\n",
		`3:15: sources.a.allow[0]: "192.0.2.0/33" is no address and no network; write 192.0.2.7 or 192.0.2.0/24`},
	{"every network", "lanes: {pd: {type: log}}\nsources:\n  a:\n    allow: [10.0.0.1, ::/0]\n",
		`4:23: sources.a.allow[1]: "::/0" is every address; remove it: an empty list is every address`},
	{"nobody", "lanes: {pd: {type: log}}\nsources:\n  a: {workspaces: [x]}\n",
		`3:3: sources.a: nothing says who may send webhooks; add tokens, basic or allow`},
	{"no_auth of a named source", "lanes: {pd: {type: log}}\nsources:\n  a: {no_auth: true}\n",
		`3:16: sources.a.no_auth: only a single source with the name default may take webhooks without a secret; give each source a secret or networks`},
	{"no_auth and a secret", "lanes: {pd: {type: log}}\nsources:\n" +
		"  default: {no_auth: true, tokens: [env:TOKEN]}\n",
		`3:22: sources.default.no_auth: the source has secrets, and needs none; remove no_auth or the secrets`},
	{"a name of a source", "lanes: {pd: {type: log}}\nsources:\n  a/b: {tokens: [env:TOKEN]}\n",
		`3:3: sources.a/b: not a name of a source; use up to 64 bytes without slash and colon`},
	{"a name of a lane", "lanes: {a/b: {type: log}}" + ending,
		`1:9: lanes.a/b: not a name of a lane; use 1 to 64 bytes without slash`},
	{"a bound of the store", pager + "store:\n  max_entries: -1\n",
		`4:16: store.max_entries: -1 is too small; write a number of at least 1, or remove the field`},
	{"a large body", pager + "limits:\n  max_body: 999999999\n",
		`4:13: limits.max_body: is too large; write 16777216 at most`},
	{"an operator's address", pager + "listeners:\n  operator: 0.0.0.0:9090\n",
		`4:13: listeners.operator: "0.0.0.0:9090" is not a loopback address, and whoever reaches it may drop alerts; listen on 127.0.0.1 and put a proxy with authentication in front`},
	{"an address without a port", pager + "listeners:\n  webhook: localhost\n",
		`4:12: listeners.webhook: "localhost" has no port or no host; write an address such as 127.0.0.1:9090`},
	{"a header", pager + "listeners:\n  header: X Token\n",
		`4:11: listeners.header: not the name of a header; use a name such as X-Relay-Token`},
}

func TestBroken(t *testing.T) {
	if len(broken) < 40 {
		t.Errorf("there are %d files", len(broken))
	}
	for _, test := range broken {
		t.Run(test.name, func(t *testing.T) {
			err := load(t, test.file)
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("Load returns %v", err)
			}
			got := strings.TrimPrefix(err.Error(), filepath.Dir(err.(*Error).File)+"/relay.yaml:")
			got = strings.ReplaceAll(got, filepath.Dir(err.(*Error).File)+"/", "")
			if got != test.want {
				t.Errorf("got\n%s, want\n%s", got, test.want)
			}
			if strings.Contains(got, planted) || strings.Contains(got, "\n") {
				t.Errorf("there is a secret or a newline in %q", got)
			}
		})
	}
}

// load loads a file of this content and returns the error.
func load(t *testing.T, content string) error {
	t.Helper()
	name := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := testLoader().Load(name)
	return err
}
