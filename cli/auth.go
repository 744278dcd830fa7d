package cli

import (
	"strconv"
	"strings"
	"time"
)

// action is the action of a command of the key store.
type action struct {
	name  string
	words []string // that have to follow
}

const authSection = "Key store"

var jsonFlag = &spec{name: "--json", kind: kindSwitch, section: authSection, help: "print JSON"}

var keysCommand = command{
	name: "keys", usage: "create | list | revoke ID | rotate ID | end-tokens", help: "make, list and end keys of the key store",
	actions: []action{{"create", nil}, {"list", nil}, {"revoke", []string{"ID"}}, {"rotate", []string{"ID"}}, {"end-tokens", nil}},
	flags: []*spec{
		jsonFlag,
		{name: "--user", kind: kindString, metavar: "NAME", section: authSection, help: "create: whose key it is; list: only those of this user"},
		{name: "--name", kind: kindString, metavar: "TEXT", section: authSection, help: "create: what it is for"},
		{name: "--role", kind: kindString, metavar: "ROLE", section: authSection, help: "create: a role below that of the user (default: the user's)"},
		{name: "--expires", kind: kindString, metavar: "TIME", section: authSection, help: "create: how long it is good, as 90d or 12h (default: never expires)"},
		{name: "--overlap", kind: kindString, metavar: "TIME", section: authSection, help: "rotate: how long the old key stays good (default: it is revoked)"},
	},
}

var usersCommand = command{
	name: "users", usage: "create NAME | list | role NAME ROLE | disable NAME | enable NAME | delete NAME", help: "make, list, change and delete users of the key store",
	actions: []action{
		{"create", []string{"NAME"}},
		{"list", nil},
		{"role", []string{"NAME", "ROLE"}},
		{"disable", []string{"NAME"}},
		{"enable", []string{"NAME"}},
		{"delete", []string{"NAME"}},
	},
	flags: []*spec{
		jsonFlag,
		{name: "--role", kind: kindString, def: "User", metavar: "ROLE", section: authSection, help: "create: Administrator, User, Viewer, Guest or one of your own (default: User)"},
	},
}

var rolesCommand = command{
	name: "roles", usage: "list | show NAME | create NAME | delete NAME | allow NAME METHOD ROUTE | deny NAME METHOD ROUTE | limits NAME", help: "make, list, change and delete roles of the key store",
	actions: []action{
		{"list", nil},
		{"show", []string{"NAME"}},
		{"create", []string{"NAME"}},
		{"delete", []string{"NAME"}},
		{"allow", []string{"NAME", "METHOD", "ROUTE"}},
		{"deny", []string{"NAME", "METHOD", "ROUTE"}},
		{"limits", []string{"NAME"}},
	},
	flags: []*spec{
		jsonFlag,
		{name: "--like", kind: kindString, metavar: "ROLE", section: authSection, help: "create: with the permissions and limits of this role"},
		{name: "--workflow", kind: kindString, metavar: "NAME", section: authSection, help: "allow, deny: for this workflow, or @registered or @public ones (default: *, any)"},
		{name: "--queued", kind: kindInt, metavar: "N", section: authSection, help: "limits: the most waiting jobs; 0: no limit"},
		{name: "--megapixels", kind: kindFloat, metavar: "N", section: authSection, help: "limits: the most megapixels of a job"},
		{name: "--upload-mb", kind: kindFloat, metavar: "N", section: authSection, help: "limits: the largest upload, in MB (of 1048576 bytes)"},
		{name: "--upload-total-mb", kind: kindFloat, metavar: "N", section: authSection, help: "limits: all uploaded files of a user, in MB"},
		{name: "--requests", kind: kindFloat, metavar: "N", section: authSection, help: "limits: requests a second"},
		{name: "--requests-burst", kind: kindInt, metavar: "N", section: authSection, help: "limits: requests at once"},
		{name: "--prompts", kind: kindFloat, metavar: "N", section: authSection, help: "limits: prompts a second"},
		{name: "--prompts-burst", kind: kindInt, metavar: "N", section: authSection, help: "limits: prompts at once"},
	},
}

var workflowsCommand = command{
	name: "workflows", usage: "list | show NAME | add NAME FILE.json | delete NAME", help: "register workflows in the key store that roles may be limited to",
	actions: []action{{"list", nil}, {"show", []string{"NAME"}}, {"add", []string{"NAME", "FILE.json"}}, {"delete", []string{"NAME"}}},
	flags: []*spec{
		jsonFlag,
		{name: "--title", kind: kindString, metavar: "TEXT", section: authSection, help: "add: the name that people see"},
		{name: "--public", kind: kindSwitch, section: authSection, help: "add: guests may run it"},
		{name: "--free", kind: kindString, repeat: true, metavar: "[NAME=]NODE.INPUT", section: authSection, help: "add: an input that may be chosen; may be repeated"},
	},
}

var auditCommand = command{
	name: "audit", usage: "[list]", help: "show the audit log of the key store, the newest first",
	actions: []action{{"list", nil}},
	flags: []*spec{
		jsonFlag,
		{name: "--action", kind: kindString, metavar: "NAME", section: authSection, help: "only login, authenticate, lock-out, key, user, role, request, run, delete, …"},
		{name: "--result", kind: kindString, choices: []string{"ok", "denied", "failed"}, section: authSection, help: "only with this result"},
		{name: "--user", kind: kindString, metavar: "NAME", section: authSection, help: "only of this user"},
		{name: "--key", kind: kindString, metavar: "ID", section: authSection, help: "only by this key"},
		{name: "--address", kind: kindString, metavar: "IP", section: authSection, help: "only from this address"},
		{name: "--text", kind: kindString, metavar: "TEXT", section: authSection, help: "only with this text in target or detail"},
		{name: "--since", kind: kindString, metavar: "TIME", section: authSection, help: "only since then: 2026-01-31, 2026-01-31T12:00:00Z, or 2d for two days ago"},
		{name: "--before", kind: kindString, metavar: "TIME", section: authSection, help: "only before then"},
		{name: "--limit", kind: kindInt, def: 100, metavar: "N", section: authSection, help: "at most so many, up to 1000"},
		{name: "--below", kind: kindInt, def: 0, metavar: "NUMBER", section: authSection, help: "only below this number: the page after one that ended with it"},
	},
}

// AuthOptions belong to the commands of the key store. Which of them mean something depends on the action.
type AuthOptions struct {
	Command, Action string
	Args            []string
	JSON            bool

	User, Name, Role, Like, Workflow, Title string
	Expires, Overlap                        time.Duration // 0: not given
	Public                                  bool
	Free                                    []string // [NAME=]NODE.INPUT

	// The limits that are to be changed.
	Queued, RequestsBurst, PromptsBurst     *int
	Megapixels, UploadMB, Requests, Prompts *float64
	UploadTotalMB                           *float64
	AuditAction, Result, Key, Address, Text string
	Since, Before                           time.Time
	Limit, Below                            int
}

// checkActions refuses what no action of a command takes.
func checkActions(cmd *command, words []string) error {
	if len(words) == 0 && len(cmd.actions) == 1 {
		return nil
	}
	names := make([]string, len(cmd.actions))
	for i, a := range cmd.actions {
		names[i] = a.name
	}
	if len(words) == 0 {
		return usagef("the following arguments are required: {%s}", strings.Join(names, ","))
	}
	for _, a := range cmd.actions {
		if a.name != words[0] {
			continue
		}
		switch given := words[1:]; {
		case len(given) < len(a.words):
			return usagef("the following arguments are required: %s", joinWords(a.words[len(given):]))
		case len(given) > len(a.words):
			return usagef("unrecognized arguments: %s", joinWords(given[len(a.words):]))
		}
		return nil
	}
	return usagef("invalid choice: %q (choose from %s)", words[0], strings.Join(names, ", "))
}

// authOptions reads the flags of a command of the key store.
func (ns namespace) authOptions(name string, words []string) (AuthOptions, error) {
	o := AuthOptions{
		Command: name, Action: "list", JSON: ns.on("json"), User: ns.text("user"), Name: ns.text("name"), Role: ns.text("role"),
		Like: ns.text("like"), Workflow: ns.text("workflow"), Title: ns.text("title"), Public: ns.on("public"), Free: ns.texts("free"),
		Queued: ns.numberIfGiven("queued"), RequestsBurst: ns.numberIfGiven("requests_burst"), PromptsBurst: ns.numberIfGiven("prompts_burst"),
		Megapixels: ns.realIfGiven("megapixels"), UploadMB: ns.realIfGiven("upload_mb"), UploadTotalMB: ns.realIfGiven("upload_total_mb"), Requests: ns.realIfGiven("requests"), Prompts: ns.realIfGiven("prompts"),
		AuditAction: ns.text("action"), Result: ns.text("result"), Key: ns.text("key"), Address: ns.text("address"), Text: ns.text("text"),
		Limit: ns.number("limit"), Below: ns.number("below"),
	}
	if len(words) > 0 {
		o.Action, o.Args = words[0], words[1:]
	}
	var err error
	for _, d := range []struct {
		dest string
		to   *time.Duration
	}{{"expires", &o.Expires}, {"overlap", &o.Overlap}} {
		if text := ns.text(d.dest); text != "" {
			if *d.to, err = duration(text); err != nil {
				return o, usagef("argument --%s: %s", d.dest, err)
			}
		}
	}
	for _, d := range []struct {
		dest string
		to   *time.Time
	}{{"since", &o.Since}, {"before", &o.Before}} {
		if text := ns.text(d.dest); text != "" {
			if *d.to, err = moment(text, time.Now()); err != nil {
				return o, usagef("argument --%s: %s", d.dest, err)
			}
		}
	}
	return o, nil
}

// duration reads 90d, 2w or what Go reads, as 12h30m; it is more than 0.
func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	for unit, hours := range map[string]float64{"d": 24, "w": 24 * 7} {
		if n, ok := strings.CutSuffix(text, unit); ok {
			var v float64
			v, err = strconv.ParseFloat(n, 64)
			d = time.Duration(v * hours * float64(time.Hour))
		}
	}
	if err != nil || d <= 0 || d > 100*365*24*time.Hour {
		return 0, usagef("%q is no time like 90d, 2w or 12h", text)
	}
	return d, nil
}

// moment reads a date, a date with a time, or how long ago.
func moment(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	d, err := duration(text)
	if err != nil {
		return time.Time{}, usagef("%q is neither a date like 2026-01-31 nor a time like 2d", text)
	}
	return now.Add(-d), nil
}

func (ns namespace) auth(c *Config) {
	c.Auth = ns.on("auth")
	c.AuthDB = ns.text("auth_db")
	c.AuthTokenLife = ns.real("auth_token_life")
	c.AuthTokenAlgorithm = ns.text("auth_token_algorithm")
	c.AuthAuditDays = ns.real("auth_audit_days")
	c.AuthProxyHeader = ns.text("auth_proxy_header")
	c.AuthProxyFrom = ns.texts("auth_proxy_from")
	c.AuthExternalRole = ns.text("auth_external_role")
	c.OIDCIssuer = ns.text("oidc_issuer")
	c.OIDCClientID = ns.text("oidc_client_id")
	c.OIDCSecretFile = ns.text("oidc_client_secret_file")
	c.OIDCRedirectURL = ns.text("oidc_redirect_url")
	c.OIDCRoleClaim = ns.text("oidc_role_claim")
	c.OIDCRoles = ns.texts("oidc_role")
}

// relateAuth refuses pairs of flags of which one would silently weaken or ignore the other.
func (ns namespace) relateAuth() error {
	switch {
	case ns.on("auth") && (len(ns.texts("api_key")) > 0 || ns.text("api_key_file") != ""):
		return usagef("argument --auth: not allowed with argument --api-key or --api-key-file")
	case !ns.on("auth") && (ns.text("auth_proxy_header") != "" || ns.text("oidc_issuer") != ""):
		return usagef("--auth-proxy-header and --oidc-issuer need --auth")
	case ns.text("auth_proxy_header") != "" && len(ns.texts("auth_proxy_from")) == 0:
		return usagef("--auth-proxy-header needs --auth-proxy-from: anybody could name any user otherwise")
	case ns.text("oidc_issuer") != "" && (ns.text("oidc_client_id") == "" || ns.text("oidc_redirect_url") == ""):
		return usagef("--oidc-issuer needs --oidc-client-id and --oidc-redirect-url")
	}
	for _, name := range []string{"auth_token_life", "auth_audit_days"} {
		if v := ns.realIfGiven(name); v != nil && !(*v > 0 && *v < 1e6) {
			return usagef("argument --%s: it is more than 0 and less than 1000000", strings.ReplaceAll(name, "_", "-"))
		}
	}
	return nil
}
