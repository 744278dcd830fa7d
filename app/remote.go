package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"comfygo/cli"
	"comfygo/internal/apiclient"
)

// remote is a client of the server that the command line names.
func remote(cfg cli.Config, o cli.RemoteOptions) (*apiclient.Client, error) {
	u, err := url.Parse(o.Server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of a server like http://127.0.0.1:8188", o.Server)
	}
	c := &apiclient.Client{Base: strings.TrimSuffix(u.String(), "/"), Key: os.Getenv("COMFYGO_API_KEY")}
	if len(cfg.APIKeys) > 0 {
		c.Key = cfg.APIKeys[0]
	}
	return c, nil
}

// plainly turns a server's refusal into an error for the command line.
func plainly(err error, server string) error {
	var status *apiclient.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status) && status.Code == 401:
		return fmt.Errorf("%s asks for a key: give --api-key or set COMFYGO_API_KEY", server)
	case errors.As(err, &status) && status.Code == 403:
		return fmt.Errorf("%s does not allow this key to do that: %w", server, err)
	case errors.As(err, &status):
		return err
	}
	return fmt.Errorf("no server answers at %s: %w", server, err)
}

// Remote runs the commands queue, history, cancel and models.
func (c Command) Remote(ctx context.Context, cfg cli.Config, o cli.RemoteOptions) error {
	if o.Families {
		return c.families(o)
	}
	server, err := remote(cfg, o)
	if err != nil {
		return err
	}
	do := map[string]func(context.Context, *apiclient.Client, cli.RemoteOptions) error{
		"queue": c.remoteQueue, "history": c.remoteHistory, "cancel": c.remoteCancel, "models": c.remoteModels,
	}[o.Command]
	return plainly(do(ctx, server, o), o.Server)
}

// print writes a value as JSON.
func (c Command) print(v any) error {
	e := json.NewEncoder(c.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// visible returns a text with its control characters, and those that change the direction of writing, escaped: names of
// files and a server's texts must not control the terminal.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// table writes rows with aligned columns.
func (c Command) table(rows [][]string) error {
	w := tabwriter.NewWriter(c.Stdout, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, cell := range r {
			cells[i] = visible(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}

// remoteJob is a job as /api/jobs returns it.
type remoteJob struct {
	ID       string   `json:"id"`
	Status   string   `json:"status"`
	Created  float64  `json:"create_time"` // milliseconds, as the next two
	Started  *float64 `json:"execution_start_time,omitempty"`
	Ended    *float64 `json:"execution_end_time,omitempty"`
	Outputs  int      `json:"outputs_count"`
	Priority any      `json:"priority"`
	Progress *struct {
		Position *int     `json:"position"`
		Percent  float64  `json:"percent"`
		Node     *string  `json:"node"`
		Step     *int     `json:"step"`
		Steps    *int     `json:"steps"`
		Left     *float64 `json:"eta_seconds"`
	} `json:"progress,omitempty"`
}

// moment is a time in milliseconds for people.
func moment(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(int64(ms)).Local().Format("2006-01-02 15:04:05")
}

// queueView is the output of the command queue.
type queueView struct {
	Paused  bool        `json:"paused"`
	Running int         `json:"running"`
	Pending int         `json:"pending"`
	Jobs    []remoteJob `json:"jobs"`
}

func (c Command) remoteQueue(ctx context.Context, s *apiclient.Client, o cli.RemoteOptions) error {
	action := "list"
	if len(o.Args) > 0 {
		action = o.Args[0]
	}
	var err error
	switch action {
	case "list":
	case "pause", "resume":
		err = s.Post(ctx, "/api/v1/queue/"+action, map[string]any{}, nil)
	case "clear":
		err = s.Post(ctx, "/queue", map[string]any{"clear": true}, nil)
	default:
		err = &cli.ExitError{Code: cli.CodeUsage, Err: fmt.Errorf("invalid choice: %q (choose from list, pause, resume, clear)", action)}
	}
	if err != nil {
		return err
	}
	v, err := readQueue(ctx, s)
	if err != nil {
		return err
	}
	if o.JSON {
		return c.print(v)
	}
	state := ""
	if v.Paused {
		state = ", paused"
	}
	fmt.Fprintf(c.Stdout, "%d running, %d waiting%s\n", v.Running, v.Pending, state)
	var rows [][]string
	for _, j := range v.Jobs {
		rows = append(rows, []string{j.ID, strings.ReplaceAll(j.Status, "_", " "), moment(j.Created), j.standing()})
	}
	return c.table(rows)
}

// standing describes the state of a job in words.
func (j remoteJob) standing() string {
	p := j.Progress
	switch {
	case p == nil:
		return ""
	case p.Position != nil:
		return fmt.Sprintf("place %d", *p.Position)
	}
	text := fmt.Sprintf("%.0f %%", p.Percent)
	if p.Node != nil && p.Step != nil && p.Steps != nil && *p.Steps > 1 {
		text += fmt.Sprintf(", node %s at %d/%d", *p.Node, *p.Step, *p.Steps)
	} else if p.Node != nil {
		text += ", node " + *p.Node
	}
	if p.Left != nil && *p.Left > 0 {
		text += fmt.Sprintf(", about %.0f s left", *p.Left)
	}
	return text
}

// readQueue reads the jobs in the order in which they run, with their progress.
func readQueue(ctx context.Context, s *apiclient.Client) (queueView, error) {
	v := queueView{Jobs: []remoteJob{}}
	if err := s.Get(ctx, "/api/v1/queue", &v); err != nil {
		return v, err
	}
	var order struct {
		Running [][]any `json:"queue_running"`
		Pending [][]any `json:"queue_pending"`
	}
	if err := s.Get(ctx, "/queue", &order); err != nil {
		return v, err
	}
	for _, row := range append(order.Running, order.Pending...) {
		id, _ := row[1].(string)
		var j remoteJob
		err := s.Get(ctx, "/api/jobs/"+url.PathEscape(id)+"?progress=true", &j)
		var status *apiclient.StatusError
		if errors.As(err, &status) && status.Code == 404 {
			continue // it has ended meanwhile
		}
		if err != nil {
			return v, err
		}
		v.Jobs = append(v.Jobs, j)
	}
	return v, nil
}

func (c Command) remoteHistory(ctx context.Context, s *apiclient.Client, o cli.RemoteOptions) error {
	var list struct {
		Jobs []remoteJob `json:"jobs"`
	}
	path := fmt.Sprintf("/api/jobs?status=completed,failed,cancelled&limit=%d", o.Limit)
	if err := s.Get(ctx, path, &list); err != nil {
		return err
	}
	if o.JSON {
		return c.print(list.Jobs)
	}
	rows := [][]string{}
	for _, j := range list.Jobs {
		took := "-"
		if j.Started != nil && j.Ended != nil {
			took = fmt.Sprintf("%.1f s", (*j.Ended-*j.Started)/1000)
		}
		rows = append(rows, []string{j.ID, j.Status, moment(j.Created), took, plural(j.Outputs, "output")})
	}
	return c.table(rows)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (c Command) remoteCancel(ctx context.Context, s *apiclient.Client, o cli.RemoteOptions) error {
	ids := o.Args
	if o.All {
		v, err := readQueue(ctx, s)
		if err != nil {
			return err
		}
		for i := len(v.Jobs) - 1; i >= 0; i-- { // from the end, so that none starts meanwhile
			ids = append(ids, v.Jobs[i].ID)
		}
	}
	done, unknown := map[string]string{}, 0
	for _, id := range ids {
		var answer struct {
			Cancelled string `json:"cancelled"`
		}
		err := s.Post(ctx, "/api/v1/queue/cancel", map[string]any{"prompt_id": id}, &answer)
		var status *apiclient.StatusError
		switch {
		case errors.As(err, &status) && status.Code == 404:
			answer.Cancelled = "unknown"
			if !o.All {
				unknown++
			}
		case err != nil:
			return err
		}
		done[id] = answer.Cancelled
		if !o.JSON {
			fmt.Fprintf(c.Stdout, "%s  %s\n", id, map[string]string{"running": "interrupted", "pending": "removed", "unknown": "neither runs nor waits"}[answer.Cancelled])
		}
	}
	if o.JSON {
		if err := c.print(done); err != nil {
			return err
		}
	}
	if unknown > 0 {
		return &cli.ExitError{Code: cli.CodeFailed}
	}
	return nil
}

func (c Command) remoteModels(ctx context.Context, s *apiclient.Client, o cli.RemoteOptions) error {
	kinds := o.Args
	if len(kinds) == 0 {
		if err := s.Get(ctx, "/models", &kinds); err != nil {
			return err
		}
	}
	list := map[string][]describedModel{}
	var rows [][]string
	for _, kind := range kinds {
		files, err := describedModels(ctx, s, kind)
		var status *apiclient.StatusError
		if errors.As(err, &status) && status.Code == 404 {
			return fmt.Errorf("the server has no folder of models called %s", kind)
		}
		if err != nil {
			return err
		}
		list[kind] = files
		for _, f := range files {
			rows = append(rows, []string{kind, f.Name, f.Family, f.state()})
		}
	}
	if o.JSON {
		return c.print(list)
	}
	return c.table(rows)
}

// describedModel is a server's description of a model file; unknown fields are nil or empty.
type describedModel struct {
	Name    string   `json:"name"`
	Size    int64    `json:"size"`
	Kinds   []string `json:"kinds"`
	Family  string   `json:"family"`
	Usable  *bool    `json:"usable"`
	Problem *string  `json:"problem"`
}

// state describes in words whether the file can be used.
func (m describedModel) state() string {
	switch {
	case m.Usable == nil:
		return ""
	case *m.Usable:
		return strings.Join(m.Kinds, ", ")
	case m.Problem != nil:
		return "cannot be used: " + strings.ReplaceAll(*m.Problem, "\n", " ")
	}
	return "cannot be used"
}

// describedModels asks a server for the model files of a folder.
func describedModels(ctx context.Context, s *apiclient.Client, folder string) ([]describedModel, error) {
	files := []describedModel{}
	err := s.Get(ctx, "/api/v1/models/"+url.PathEscape(folder), &files)
	return files, err
}
