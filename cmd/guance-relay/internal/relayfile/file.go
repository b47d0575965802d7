// Package relayfile reads the configuration file of the server, relay.yaml.
//
// A file is either good as a whole, or [Loader.Load] returns an [Error]: one line with the place in
// the file, the field, what is wrong and what to do. No error holds a secret.
//
// The types below are the file. The JSON Schema is made from them, see [Schema].
package relayfile

// A File is the whole configuration file.
type File struct {
	Sources   map[string]Source `yaml:"sources" doc:"Who may send webhooks, by name. The source \"default\" has no name: its problem keys are those of Guance."`
	Lanes     map[string]Lane   `yaml:"lanes" doc:"Where alerts go, by name."`
	Routes    []Route           `yaml:"routes" doc:"Which lanes get an alert. The first route that matches decides, unless it has continue. Without routes every lane but the fallback gets every alert."`
	Fallback  string            `yaml:"fallback" doc:"The lane that gets what no route and no lane takes."`
	Watch     Watch             `yaml:"watch" doc:"What the relay reports of its own trouble. A reload does not change the heartbeat."`
	Limits    Limits            `yaml:"limits" doc:"Limits of webhooks and connections."`
	Store     Store             `yaml:"store" doc:"The durable store. A reload does not change it."`
	Listeners Listeners         `yaml:"listeners" doc:"The addresses of the server. A reload does not change them."`
}

// A Source is a sender of webhooks.
type Source struct {
	Tokens     []Secret `yaml:"tokens" doc:"Secrets that a webhook may carry as Authorization: Bearer, in the header, or as ?token=. A file may have several lines, and is read again after a change."`
	Basic      []Secret `yaml:"basic" doc:"user:password pairs of HTTP basic authentication."`
	Allow      []string `yaml:"allow" doc:"Addresses and networks that webhooks may come from."`
	Workspaces []string `yaml:"workspaces" doc:"Ids of the workspaces that the source may speak for. Empty: all."`
	NoAuth     bool     `yaml:"no_auth" doc:"Take webhooks without a secret. Only the source \"default\" alone may set it."`
}

// A Lane is a target of alerts. The tag types says which types of lanes have a field.
type Lane struct {
	Type string `yaml:"type" enum:"pagerduty,webhook,log" doc:"What the lane sends to."`

	Key         Secret            `yaml:"key" types:"pagerduty" required:"true" doc:"The integration key of Events API v2. A file is read again after a change."`
	Region      string            `yaml:"region" types:"pagerduty" enum:"us,eu" doc:"The service region. Default: us."`
	BaseURL     string            `yaml:"base_url" types:"pagerduty" doc:"A base URL instead of the region's, for tests and gateways; https unless loopback."`
	Severities  map[string]string `yaml:"severities" types:"pagerduty" doc:"The severity of a level: critical, error, warning, info or ignored."`
	MinLevel    string            `yaml:"min_level" types:"pagerduty" enum:"info,nodata,warning,error,critical,fatal" doc:"Ignore problems of a lower level. Default: none."`
	IgnoreMuted bool              `yaml:"ignore_muted" types:"pagerduty" doc:"Ignore problems that are muted in Guance."`
	KeepOpen    bool              `yaml:"keep_open" types:"pagerduty" doc:"Ignore recoveries, so that a person closes each incident."`
	Sibling     bool              `yaml:"sibling" types:"pagerduty" doc:"A recovery resolves the problem of the other phase of the monitor too."`
	Changes     bool              `yaml:"changes" types:"pagerduty" doc:"Send change and audit events as change events."`

	URL             Secret            `yaml:"url" types:"webhook" required:"true" doc:"The address to post to. The URL of a chat is a secret."`
	Format          string            `yaml:"format" types:"webhook" enum:"event,template,feishu,dingtalk,wecom,slack,teams" doc:"The body. event is the relay's own JSON. Default: event."`
	Template        string            `yaml:"template" types:"webhook" doc:"The text/template of the body. {{secret \"env:NAME\"}} is a secret."`
	ContentType     string            `yaml:"content_type" types:"webhook" doc:"The content type of event and template. Default: application/json."`
	SigningKey      Secret            `yaml:"signing_key" types:"webhook" doc:"The key with which Feishu and DingTalk verify messages."`
	Secrets         []Secret          `yaml:"secrets" types:"webhook" doc:"Keys (whsec_…) that sign event and template as Standard Webhooks say."`
	Headers         map[string]string `yaml:"headers" types:"webhook" doc:"More headers. The value of one that may hold a secret, such as Authorization, is a reference."`
	AllowedNetworks []string          `yaml:"allowed_networks" types:"webhook" doc:"Networks that the lane may connect to although they are not part of the public internet."`
	NewestOnly      bool              `yaml:"newest_only" types:"webhook" doc:"A newer state of a problem supersedes one that was not sent yet."`

	Formerly       string   `yaml:"formerly" doc:"The name that the lane had before. The lane takes over what that one has."`
	PerMinute      int      `yaml:"per_minute" min:"1" doc:"Requests in any 60 s at most. Default: 120, and for a chat what it allows."`
	Concurrency    int      `yaml:"concurrency" min:"1" doc:"Attempts at a time. Default: 32."`
	AttemptTimeout Duration `yaml:"attempt_timeout" doc:"The longest that one attempt may take. Default: 30s."`
	MaxAttempts    int      `yaml:"max_attempts" min:"1" doc:"Failures that make a dead letter. Default: 60."`
	MaxAge         Duration `yaml:"max_age" doc:"How long an event is tried. Default: 72h."`
}

// A Route sends the alerts for which When is true to lanes.
type Route struct {
	When     string   `yaml:"when" doc:"An expression of expr-lang.org over level, state, kind, tags, labels, workspace, monitor, policy, title and source. Empty: every alert."`
	Lanes    []string `yaml:"lanes" required:"true" doc:"The names of lanes. An empty list drops the alert: nobody gets it, but for the fallback."`
	Continue bool     `yaml:"continue" doc:"Try the routes that follow too."`
}

// Watch says what becomes of the relay's own trouble.
type Watch struct {
	Lane              string   `yaml:"lane" required:"true" doc:"The lane that gets the relay's own trouble as events, whatever the routes say."`
	Stuck             Duration `yaml:"stuck" doc:"How long a lane with pending events may get nothing through. Default: 10m."`
	Silence           Duration `yaml:"silence" doc:"How long nothing may come from Guance. Default: for ever."`
	Full              int      `yaml:"full" min:"1" doc:"How full the store may be, in percent of the bounds of pending events. Default: 80."`
	HeartbeatURL      Secret   `yaml:"heartbeat_url" doc:"The address of a dead-man's switch. It gets a POST once a synthetic webhook has come all the way through the relay."`
	HeartbeatEvery    Duration `yaml:"heartbeat_every" doc:"The time between two heartbeats. Default: 1m."`
	HeartbeatNetworks []string `yaml:"heartbeat_networks" doc:"Networks that the switch may be in although they are not part of the public internet."`
}

// Limits are those of webhooks and connections.
type Limits struct {
	MaxBody        int `yaml:"max_body" min:"1" doc:"The largest webhook in bytes. Default: 1048576."`
	MaxConnections int `yaml:"max_connections" min:"2" doc:"Open connections at most. A reload does not change it. Default: 1024."`
}

// Store says where the store is and how much it takes.
type Store struct {
	Directory      string   `yaml:"directory" doc:"The directory of the store. Default: relay-data."`
	MaxEntries     int      `yaml:"max_entries" min:"1" doc:"Pending events of all lanes at most. Default: 1000000."`
	MaxLaneEntries int      `yaml:"max_lane_entries" min:"1" doc:"Pending events of one lane at most. Default: a quarter of max_entries."`
	MaxBytes       int      `yaml:"max_bytes" min:"1" doc:"Bytes of pending events at most. Default: 4294967296."`
	MaxDead        int      `yaml:"max_dead" min:"1" doc:"Dead letters of one lane at most. Default: 100000."`
	DeadAge        Duration `yaml:"dead_age" doc:"How long dead letters are kept. Default: 720h."`
}

// Listeners are the addresses of the server.
type Listeners struct {
	Webhook        string   `yaml:"webhook" doc:"The address of webhooks. Default: 127.0.0.1:8080."`
	Operator       string   `yaml:"operator" doc:"The loopback address of metrics, statistics, dead letters and reload. Default: off."`
	Metrics        string   `yaml:"metrics" doc:"An address for the metrics alone, which need not be loopback. Default: off."`
	Header         string   `yaml:"header" doc:"The header that may carry a token. Default: X-Relay-Token."`
	TLSCert        string   `yaml:"tls_cert" doc:"The file of the certificate for webhooks, with its chain, as PEM. It is read again after a change. Default: plain HTTP."`
	TLSKey         string   `yaml:"tls_key" doc:"The file of the private key of tls_cert, as PEM."`
	TrustedProxies []string `yaml:"trusted_proxies" doc:"Addresses and networks of reverse proxies."`
}

// A Secret is a reference to a secret: env:NAME or file:PATH. A secret itself is an error.
type Secret string

// A Duration is a time such as 90s, 15m or 72h.
type Duration string
