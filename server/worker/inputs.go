package worker

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path"
	"strings"

	"comfygo/executor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
)

const (
	// longestName is up to how many bytes a text may be the name of a file.
	longestName = 255
	// mostInputs bounds the files of one prompt that are looked for before it runs; nodes of this program find others as they come to them.
	mostInputs = 1000
)

// fetchInputs copies the files that a prompt names to this machine: node packs search for them in the folders. A fault of a file is reported by
// the node that reads it.
func fetchInputs(ctx context.Context, job executor.Job, dirs *folders.Folders, log *slog.Logger) {
	if job.Folders != nil {
		dirs = job.Folders
	}
	if dirs == nil || !dirs.HasRemote() {
		return
	}
	seen := map[string]bool{}
	for _, v := range job.Prompt.All() {
		node, _ := v.(*pyjson.Object)
		for _, v := range node.Object("inputs").All() {
			name, _ := v.(string)
			if seen[name] || !mayName(name) || len(seen) >= mostInputs {
				continue
			}
			seen[name] = true
			file, err := dirs.Place(name)
			if err == nil {
				err = dirs.Fetch(ctx, file)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				log.Warn("fetching a file that a prompt names", "prompt_id", job.ID, "name", name, "error", err)
			}
			if errors.Is(err, folders.ErrRemote) || ctx.Err() != nil {
				return // each other file would wait for the store as long
			}
		}
	}
}

// mayName reports whether a text looks like the name of a file.
func mayName(text string) bool {
	bare, _ := folders.SplitAnnotated(text)
	return len(text) <= longestName && len(path.Ext(bare)) > 1 && !strings.ContainsAny(text, "\n\x00") && !strings.ContainsAny(path.Ext(bare), " ,:;()")
}
