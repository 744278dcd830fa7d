package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"comfygo/auth"
	"comfygo/cli"
)

// keeper is one command of the key store under way.
type keeper struct {
	Command
	ctx   context.Context
	store *auth.Store
	by    auth.Actor
	o     cli.AuthOptions
}

// Auth edits the key store: the commands keys, users, roles, workflows and audit. A server that uses the store
// follows within a second.
func (c Command) Auth(ctx context.Context, cfg cli.Config, o cli.AuthOptions) (err error) {
	dirs, err := openFolders(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	makes := o.Action == "create" && o.Command != "keys" || o.Command == "workflows" && o.Action == "add"
	store, err := openShellStore(ctx, cfg, dirs, makes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	k := keeper{Command: c, ctx: ctx, store: store, by: auth.CommandLine(userName()), o: o}
	do := map[string]map[string]func() error{
		"keys":  {"create": k.createKey, "list": k.listKeys, "revoke": k.revokeKey, "rotate": k.rotateKey, "end-tokens": k.endTokens},
		"users": {"create": k.createUser, "list": k.listUsers, "role": k.giveRole, "disable": k.disableUser, "enable": k.enableUser, "delete": k.deleteUser},
		"roles": {
			"list": k.listRoles, "show": k.showRole, "create": k.createRole, "delete": k.deleteRole,
			"allow": k.allow, "deny": k.deny, "limits": k.setLimits,
		},
		"workflows": {"list": k.listWorkflows, "show": k.showWorkflow, "add": k.addWorkflow, "delete": k.deleteWorkflow},
		"audit":     {"list": k.listEvents},
	}[o.Command][o.Action]
	if do == nil {
		return fmt.Errorf("%s has no action %q", o.Command, o.Action)
	}
	return do()
}

// arg is the nth word behind the action.
func (k keeper) arg(n int) string { return k.o.Args[n] }

// show prints a value as JSON when that was asked for, and else as people calls it.
func (k keeper) show(v any, people func()) error {
	if !k.o.JSON {
		people()
		return nil
	}
	e := json.NewEncoder(k.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	return nil
}

// say prints a line that is not part of the result.
func (k keeper) say(format string, args ...any) { fmt.Fprintf(k.Stderr, format+"\n", args...) }

// table prints rows in columns. Cells hold untrusted names, so control characters are shown as they are
// written in Go: a terminal must not obey them.
func (k keeper) table(rows [][]string) {
	w := tabwriter.NewWriter(k.Stdout, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		for i := range r {
			r[i] = strings.Map(func(c rune) rune {
				if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
					return '\ufffd'
				}
				return c
			}, r[i])
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	_ = w.Flush() // a closed terminal reads no error
}

// day is a time for people.
func day(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (k keeper) createKey() error {
	if k.o.User == "" {
		return &cli.ExitError{Code: cli.CodeUsage, Err: errors.New("keys create needs --user NAME; comfygo users create makes one")}
	}
	name := k.o.Name
	if name == "" {
		name = "key of " + k.o.User
	}
	made, err := k.store.CreateKey(k.ctx, k.by, auth.KeySpec{Name: name, User: k.o.User, Role: k.o.Role, Life: k.o.Expires})
	if err != nil {
		return err
	}
	return k.show(made, func() { k.showSecret(made) })
}

// showSecret prints the key alone to standard output, so that it can be piped.
func (k keeper) showSecret(made auth.Key) {
	role := made.Role
	if role == "" {
		role = "the user's"
	}
	k.say("key %s of %s, role: %s, good until: %s. It is shown this once:", made.ID, made.User, role, untilText(made.Expires))
	fmt.Fprintln(k.Stdout, made.Secret)
}

func untilText(t *time.Time) string {
	if t == nil {
		return "it is revoked"
	}
	return day(t)
}

func (k keeper) listKeys() error {
	all, err := k.store.Keys(k.ctx)
	if err != nil {
		return err
	}
	keys := []auth.Key{}
	for _, v := range all {
		if k.o.User == "" || strings.EqualFold(v.User, k.o.User) || v.Owner == k.o.User {
			keys = append(keys, v)
		}
	}
	return k.show(keys, func() {
		rows := [][]string{{"KEY", "STATE", "USER", "ROLE", "NAME", "CREATED", "EXPIRES", "LAST USED"}}
		for _, v := range keys {
			rows = append(rows, []string{v.Mask, v.State, v.User, dash(v.Role), v.Name, day(&v.Created), day(v.Expires), day(v.LastUsed)})
		}
		k.table(rows)
	})
}

func (k keeper) revokeKey() error {
	v, err := k.store.RevokeKey(k.ctx, k.by, k.arg(0))
	if err != nil {
		return err
	}
	return k.show(v, func() { k.say("key %s of %s is revoked, with its tokens, sessions and sockets", v.ID, v.User) })
}

func (k keeper) rotateKey() error {
	made, err := k.store.RotateKey(k.ctx, k.by, k.arg(0), k.o.Overlap)
	if err != nil {
		return err
	}
	return k.show(made, func() {
		if k.o.Overlap > 0 {
			k.say("key %s stays good for %s", made.Instead, k.o.Overlap)
		} else {
			k.say("key %s is revoked", made.Instead)
		}
		k.showSecret(made)
	})
}

func (k keeper) endTokens() error {
	if err := k.store.EndTokens(k.ctx, k.by); err != nil {
		return err
	}
	return k.show(map[string]bool{"ended": true}, func() { k.say("all tokens have ended; keys and log-ins go on") })
}

func (k keeper) createUser() error {
	u, err := k.store.CreateUser(k.ctx, k.by, k.arg(0), k.o.Role)
	if err != nil {
		return err
	}
	return k.show(u, func() { k.say("user %s (%s), role %s. comfygo keys create --user makes a key", u.Name, u.ID, u.Role) })
}

func (k keeper) listUsers() error {
	users, err := k.store.Users(k.ctx)
	if err != nil {
		return err
	}
	return k.show(users, func() {
		rows := [][]string{{"USER", "ROLE", "KEYS", "STATE", "CREATED", "ID"}}
		for _, u := range users {
			state := "active"
			if u.Disabled {
				state = "disabled"
			}
			rows = append(rows, []string{u.Name, u.Role, fmt.Sprint(u.Keys), state, day(&u.Created), u.ID})
		}
		k.table(rows)
	})
}

func (k keeper) showUser(u auth.User, err error) error {
	if err != nil {
		return err
	}
	return k.show(u, func() { k.say("user %s: role %s, disabled: %t", u.Name, u.Role, u.Disabled) })
}

func (k keeper) giveRole() error {
	return k.showUser(k.store.SetUserRole(k.ctx, k.by, k.arg(0), k.arg(1)))
}

func (k keeper) disableUser() error {
	return k.showUser(k.store.SetUserDisabled(k.ctx, k.by, k.arg(0), true))
}

func (k keeper) enableUser() error {
	return k.showUser(k.store.SetUserDisabled(k.ctx, k.by, k.arg(0), false))
}

func (k keeper) deleteUser() error {
	if err := k.store.DeleteUser(k.ctx, k.by, k.arg(0)); err != nil {
		return err
	}
	return k.show(map[string]string{"deleted": k.arg(0)}, func() { k.say("user %s is deleted", k.arg(0)) })
}

func (k keeper) listEvents() error {
	events, err := k.store.Events(k.ctx, auth.EventFilter{
		Action: auth.Action(k.o.AuditAction), Result: auth.Result(k.o.Result), Owner: k.o.User, KeyID: k.o.Key, Addr: k.o.Address,
		Text: k.o.Text, Since: k.o.Since, Before: k.o.Before, Below: int64(k.o.Below), Limit: k.o.Limit,
	})
	if err != nil {
		return err
	}
	return k.show(events, func() {
		rows := [][]string{{"NUMBER", "TIME", "ACTION", "RESULT", "WHO", "KEY", "ADDRESS", "TARGET", "DETAIL"}}
		for _, e := range events {
			rows = append(rows, []string{
				fmt.Sprint(e.Number), e.Time.Local().Format(time.DateTime), string(e.Action), string(e.Result), dash(e.Name),
				dash(e.KeyID), dash(e.Addr), dash(e.Target), e.Detail,
			})
		}
		k.table(rows)
	})
}

// readGraph reads the file of a workflow.
func readGraph(path string) (json.RawMessage, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the workflow: %w", err)
	}
	return data, nil
}
