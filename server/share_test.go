package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/executor"
	"comfygo/nodes"
	"comfygo/server"
)

// textSaver saves a file, as SaveImage does.
type textSaver struct {
	Text string `in:"text" default:""`
}

func (*textSaver) Spec() nodes.Spec {
	return nodes.Spec{Name: "SaveText", Category: "test", OutputNode: true}
}

func (n *textSaver) Run(ctx *nodes.Context) (nodes.Result, error) {
	to, err := ctx.Folders.SavePath("sub/pic", ctx.Folders.Output(), 0, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	name := to.Name(0, ".txt")
	if err := os.WriteFile(filepath.Join(to.Dir, name), []byte(n.Text), 0o600); err != nil {
		return nodes.Result{}, err
	}
	file := map[string]any{"filename": name, "subfolder": to.Subfolder, "type": "output"}
	return nodes.WithUI("images", []any{file}), nil
}

// TestSharing has a user share a result; a viewer reads it and its file, until it is shared no longer.
func TestSharing(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, func(c *server.Config) {
		registry := nodes.NewRegistry()
		if err := registry.Add(&textSaver{}); err != nil {
			t.Fatal(err)
		}
		c.Executor = executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: c.Folders}})
	})
	run := func(who, text string) string {
		id := a.put(who, `{"prompt": {"1": {"class_type": "SaveText", "inputs": {"text": "`+text+`"}}}}`)
		a.until("the job", func() bool { return a.as(who, "GET", "/history/"+id, "").body != "{}" })
		return id
	}
	shared, secret := run("ann", "for all to see"), run("ann", "for nobody")
	const first, second = "GET /view?filename=pic_00001_.txt&subfolder=sub&type=output", "GET /view?filename=pic_00002_.txt&subfolder=sub&type=output"
	a.wants("ann", first, "", 200, "for all to see")
	a.wants("ann", second, "", 200, "for nobody")
	a.wants("vera", first, "", 404, "")
	a.wants("bob", "POST /api/jobs/"+shared+"/share", "", 404, "")
	a.wants("vera", "POST /api/jobs/"+shared+"/share", "", 403, "POST /jobs/:job_id/share")
	a.wants("ann", "POST /api/jobs/"+shared+"/share", "", 200, `"shared": true`)

	a.wants("vera", "GET /history", "", 200, shared)
	a.wants("vera", "GET /history/"+shared, "", 200, shared)
	a.wants("vera", "GET /api/jobs/"+shared, "", 200, "pic_00001_.txt")
	a.wants("vera", first, "", 200, "for all to see")
	a.wants("vera", second, "", 404, "")
	a.wants("vera", "GET /history/"+secret, "", 200, "{}")
	a.wants("bob", "GET /history/"+shared, "", 200, shared)
	a.wants("bob", "GET /history?shared=true", "", 200, shared)
	a.wants("bob", "GET /history", "", 200, "{}")
	a.wants("gus", "GET /history/"+shared, "", 200, "{}")
	a.wants("gus", first, "", 404, "")
	for _, query := range []string{"filename=pic_00001_.txt&subfolder=&type=output", "filename=pic_00001_.txt&subfolder=sub&type=input", "filename=pic_00001_.txt&subfolder=sub/../sub&type=temp"} {
		if got := a.as("vera", "GET", "/view?"+query, ""); got.status == 200 {
			t.Errorf("%s: %s", query, got.body)
		}
	}
	// What may be read may not be changed.
	a.wants("bob", "POST /history", `{"delete": ["`+shared+`"]}`, 200, "")
	a.wants("bob", "POST /history", `{"clear": true}`, 200, "")
	a.wants("ann", "GET /history/"+shared, "", 200, shared)
	run("bob", "bob's own")
	if got := a.wants("bob", first, "", 200, ""); !strings.Contains(got.body, "bob's own") {
		t.Errorf("one's own file comes first, but bob gets %s", got.body)
	}
	a.wants("ann", "POST /api/jobs/"+shared+"/share", `{"shared": false}`, 200, `"shared": false`)
	a.wants("vera", "GET /history", "", 200, "{}")
	a.wants("vera", first, "", 404, "")
}
