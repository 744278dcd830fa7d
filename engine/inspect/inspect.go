// Package inspect identifies model files before they run: kind, family, whether they can be used, and otherwise what to do.
// It reads headers and no weights, and opens no runtime.
package inspect

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all" // the families that can be run
	"comfygo/engine/weights"
)

// Limit bounds the time for one file: a header takes milliseconds, a disk that is gone never answers.
const Limit = 5 * time.Second

// The bounds of what an Inspector does and remembers.
const (
	workers   = 4
	mostKnown = 4096
)

// Inspector describes files and caches the results until a file changes. It is safe for concurrent use; the zero value is
// ready.
type Inspector struct {
	mu    sync.Mutex
	known map[string]*look
}

// look is one look into a file.
type look struct {
	done chan struct{} // closed when the rest is set
	id   string        // size and time of change; "" when there is no such file
	is   family.Description
}

// File describes the file at path. A file that cannot be read, or not within Limit, is described as one that cannot be used,
// with the reason.
func (i *Inspector) File(ctx context.Context, path string) family.Description {
	l := i.begin(path)
	timer := time.NewTimer(Limit)
	defer timer.Stop()
	select {
	case <-l.done:
		return l.is
	case <-ctx.Done():
		return unusable("it was not looked at: " + context.Cause(ctx).Error())
	case <-timer.C:
		return unusable(fmt.Sprintf("reading its header took longer than %v", Limit))
	}
}

// Files describes the files at paths, in their order, several at a time. What is not reached before ctx ends is described so.
func (i *Inspector) Files(ctx context.Context, paths []string) []family.Description {
	out := make([]family.Description, len(paths))
	queue := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, len(paths)) {
		wg.Go(func() {
			for k := range queue {
				out[k] = i.File(ctx, paths[k])
			}
		})
	}
	for k := range paths {
		queue <- k
	}
	close(queue)
	wg.Wait()
	return out
}

// begin returns the running inspection of path, or starts one: an unresponsive disk blocks one inspection, whatever the
// number of callers.
func (i *Inspector) begin(path string) *look {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.known[path]
	if before != nil && !before.over() {
		return before
	}
	if i.known == nil || len(i.known) >= mostKnown {
		i.forget()
	}
	l := &look{done: make(chan struct{})}
	i.known[path] = l
	go func() {
		defer close(l.done)
		l.run(path, before)
	}()
	return l
}

// forget drops the results, except for running inspections.
func (i *Inspector) forget() {
	kept := map[string]*look{}
	for path, l := range i.known {
		if !l.over() {
			kept[path] = l
		}
	}
	i.known = kept
}

func (l *look) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// run inspects the file, unless it is unchanged.
func (l *look) run(path string, before *look) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		l.is = unusable(plain(err, path))
		return
	case !st.Mode().IsRegular():
		l.is = unusable("it is no file")
		return
	}
	l.id = fmt.Sprintf("%d|%d", st.Size(), st.ModTime().UnixNano())
	if before != nil && before.id == l.id {
		l.is = before.is
		return
	}
	l.is = describe(path)
}

// describe opens a file and describes it. A file on which a family's reader panics is one that cannot be used, not the end
// of the program.
func describe(path string) (d family.Description) {
	defer func() {
		if r := recover(); r != nil {
			d = unusable(fmt.Sprintf("reading its header failed: %v", r))
		}
	}()
	src, err := weights.Open(path)
	if err != nil {
		return unusable(plain(err, path))
	}
	defer src.Close()
	d = family.Open(family.Default, src).Describe()
	d.Why = strings.ReplaceAll(d.Why, path, filepath.Base(path))
	return d
}

func unusable(why string) family.Description { return family.Description{Kinds: []string{}, Why: why} }

// plain returns an error's text without the folder of the file, which users of a model list must not see.
func plain(err error, path string) string {
	return strings.ReplaceAll(err.Error(), path, filepath.Base(path))
}
