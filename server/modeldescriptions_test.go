package server_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/server"
	"comfygo/server/models"
)

// TestModelDescriptions lists model files with their descriptions, null if they are unknown, and 404 for an unknown
// kind.
func TestModelDescriptions(t *testing.T) {
	t.Parallel()
	r := start(t, func(cfg *server.Config) {
		cfg.DescribeModels = func(_ context.Context, kind string, paths []string) []models.Description {
			if kind != "checkpoints" {
				return nil
			}
			out := make([]models.Description, len(paths))
			for i, p := range paths {
				out[i] = models.Description{Kinds: []string{"VAE"}, Family: "F"}
				if filepath.Base(p) == "bad.safetensors" {
					out[i].Problem = "it is broken"
				}
			}
			return out
		}
	})
	for _, name := range []string{"checkpoints/bad.safetensors", "checkpoints/good.safetensors", "loras/style.safetensors"} {
		write(t, filepath.Join(r.base, "models", filepath.FromSlash(name)), []byte("weights"))
	}
	type file struct {
		Name            string
		Size            int64
		Kinds           []string
		Family, Problem *string
		Usable          *bool
	}
	var list []file
	r.get("/api/v1/models/checkpoints", &list) // the rig has one, too: a.safetensors
	if len(list) != 3 || list[1].Name != "bad.safetensors" || *list[1].Usable || *list[1].Problem != "it is broken" {
		t.Fatalf("checkpoints: %+v", list)
	}
	if g := list[2]; !*g.Usable || *g.Problem != "" || *g.Family != "F" || g.Size != 7 || !slices.Equal(g.Kinds, []string{"VAE"}) {
		t.Errorf("a file that can be used: %+v", g)
	}
	list = nil
	r.get("/api/v1/models/loras", &list)
	if len(list) != 1 || list[0].Usable != nil || list[0].Family != nil || list[0].Kinds != nil {
		t.Errorf("files that are not described: %+v", list)
	}
	if have := r.do("GET", "/api/v1/models/nothing", ""); have.status != 404 {
		t.Errorf("no such kind: %d", have.status)
	}
}
