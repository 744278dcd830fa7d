package app

import (
	"fmt"
	"strings"

	"comfygo/auth"
)

func (k keeper) listRoles() error {
	roles, err := k.store.Roles(k.ctx)
	if err != nil {
		return err
	}
	return k.show(roles, func() {
		rows := [][]string{{"ROLE", "USERS", "PERMISSIONS", "QUEUED", "MEGAPIXELS", "UPLOAD MB", "TOTAL MB", "REQUESTS/S", "PROMPTS/S"}}
		for _, r := range roles {
			grants := fmt.Sprint(len(r.Grants))
			if r.Name == auth.RoleAdministrator {
				grants = "all"
			}
			l := r.Limits
			rows = append(rows, []string{
				r.Name, fmt.Sprint(r.Users), grants, bound(l.Queued), bound(l.Megapixels), bound(float64(l.UploadBytes) / (1 << 20)), bound(float64(l.UploadTotal) / (1 << 20)),
				bound(l.Requests), bound(l.Prompts),
			})
		}
		k.table(rows)
	})
}

// bound is a limit for people.
func bound[T int | float64](v T) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprint(v)
}

func (k keeper) showRole() error { return k.printRole(k.store.Role(k.ctx, k.arg(0))) }

func (k keeper) printRole(r auth.Role, err error) error {
	if err != nil {
		return err
	}
	return k.show(r, func() {
		rows := [][]string{{"METHOD", "ROUTE", "WORKFLOW"}}
		for _, g := range r.Grants {
			rows = append(rows, []string{g.Method, g.Route, g.Workflow})
		}
		k.table(rows)
	})
}

// changedRole reports that a role was changed.
func (k keeper) changedRole(r auth.Role, err error) error {
	if err != nil {
		return err
	}
	return k.show(r, func() { k.say("role %s has %d permissions", r.Name, len(r.Grants)) })
}

func (k keeper) createRole() error {
	r, err := k.store.CreateRole(k.ctx, k.by, k.arg(0), k.o.Like)
	if err == nil && !k.o.JSON && k.o.Like != "" && len(r.Grants) > 0 {
		k.say("note: role %s has the %d permissions of %s; narrower ones that are allowed later limit nothing until the wider ones are denied", r.Name, len(r.Grants), k.o.Like)
	}
	return k.changedRole(r, err)
}

func (k keeper) deleteRole() error {
	if err := k.store.DeleteRole(k.ctx, k.by, k.arg(0)); err != nil {
		return err
	}
	return k.show(map[string]string{"deleted": k.arg(0)}, func() { k.say("role %s is deleted", k.arg(0)) })
}

func (k keeper) grant() auth.Grant {
	return auth.Grant{Method: k.arg(1), Route: k.arg(2), Workflow: k.o.Workflow}
}

// allow gives a role a permission, and warns of wider ones that it has already and that make this one useless as a limit.
func (k keeper) allow() error {
	given := k.grant()
	if r, err := k.store.Role(k.ctx, k.arg(0)); err == nil && !k.o.JSON {
		for _, g := range r.Grants {
			if g.Includes(given) {
				k.say("warning: role %s has the wider permission %s %s for workflow %s already, so that this one limits nothing; take that away by `comfygo roles deny %s %s %s`",
					r.Name, g.Method, g.Route, g.Workflow, r.Name, g.Method, g.Route)
			}
		}
	}
	return k.changedRole(k.store.Grant(k.ctx, k.by, k.arg(0), given))
}

func (k keeper) deny() error {
	return k.changedRole(k.store.Ungrant(k.ctx, k.by, k.arg(0), k.grant()))
}

// setLimits changes those limits that were given.
func (k keeper) setLimits() error {
	r, err := k.store.Role(k.ctx, k.arg(0))
	if err != nil {
		return err
	}
	l := r.Limits
	for _, c := range []struct {
		given *int
		to    *int
	}{{k.o.Queued, &l.Queued}, {k.o.RequestsBurst, &l.RequestsBurst}, {k.o.PromptsBurst, &l.PromptsBurst}} {
		if c.given != nil {
			*c.to = *c.given
		}
	}
	upload, total := float64(l.UploadBytes)/(1<<20), float64(l.UploadTotal)/(1<<20)
	for _, c := range []struct {
		given *float64
		to    *float64
	}{{k.o.Megapixels, &l.Megapixels}, {k.o.UploadMB, &upload}, {k.o.UploadTotalMB, &total}, {k.o.Requests, &l.Requests}, {k.o.Prompts, &l.Prompts}} {
		if c.given != nil {
			*c.to = *c.given
		}
	}
	if k.o.UploadMB != nil {
		l.UploadBytes = int64(upload * (1 << 20))
	}
	if k.o.UploadTotalMB != nil {
		l.UploadTotal = int64(total * (1 << 20))
	}
	return k.changedRole(k.store.SetLimits(k.ctx, k.by, r.Name, l))
}

func (k keeper) listWorkflows() error {
	list, err := k.store.Workflows(k.ctx, k.by.Principal)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Graph = nil
	}
	return k.show(list, func() {
		rows := [][]string{{"NAME", "TITLE", "PUBLIC", "FREE INPUTS", "CHANGED"}}
		for _, w := range list {
			free := make([]string, len(w.Free))
			for i, f := range w.Free {
				free[i] = f.Name
			}
			rows = append(rows, []string{w.Name, w.Title, fmt.Sprint(w.Public), dash(strings.Join(free, ", ")), day(&w.Changed)})
		}
		k.table(rows)
	})
}

func (k keeper) showWorkflow() error {
	w, err := k.store.Workflow(k.ctx, k.arg(0))
	if err != nil {
		return err
	}
	k.o.JSON = true // a graph is shown as JSON only
	return k.show(w, nil)
}

func (k keeper) addWorkflow() error {
	graph, err := readGraph(k.arg(1))
	if err != nil {
		return err
	}
	w := auth.Workflow{Name: k.arg(0), Title: k.o.Title, Public: k.o.Public, Graph: graph}
	for _, text := range k.o.Free {
		f := auth.FreeInput{}
		place := text
		if name, rest, ok := strings.Cut(text, "="); ok {
			f.Name, place = name, rest
		}
		f.Node, f.Input, _ = strings.Cut(place, ".")
		w.Free = append(w.Free, f)
	}
	made, err := k.store.PutWorkflow(k.ctx, k.by, w)
	if err != nil {
		return err
	}
	made.Graph = nil
	return k.show(made, func() { k.say("workflow %s, %d free inputs, public: %t", made.Name, len(made.Free), made.Public) })
}

func (k keeper) deleteWorkflow() error {
	if err := k.store.DeleteWorkflow(k.ctx, k.by, k.arg(0)); err != nil {
		return err
	}
	return k.show(map[string]string{"deleted": k.arg(0)}, func() { k.say("workflow %s is deleted", k.arg(0)) })
}
