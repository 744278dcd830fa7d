package v2

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"mime"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/folders"
	"comfygo/internal/pyjson"
)

// outputView is a job's output as clients get it.
type outputView struct {
	NodeID       string  `json:"node_id"`
	Name         string  `json:"name"`
	Type         string  `json:"type"`
	ContentType  string  `json:"content_type"`
	SizeBytes    int64   `json:"size_bytes"`
	ID           string  `json:"id"`
	Hash         *string `json:"hash"`
	URL          string  `json:"url"`
	URLExpiresAt string  `json:"url_expires_at"`
	JobID        *string `json:"job_id"`
}

// textFolder is the folder of texts that nodes have shown, below the output folder.
const textFolder = "text"

// outputs are a job's outputs so far.
func (a *API) outputs(c echo.Context, f found) ([]outputView, error) {
	list := a.logs.outputs(f.id)
	if f.end != nil {
		list = shownBy(f.end.outputs)
	}
	if len(list) == 0 {
		return nil, nil
	}
	var out []outputView
	for _, s := range list {
		v, ok, err := a.output(c, f, s)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, v)
		}
	}
	return out, nil
}

// shown is one output of a node: an entry of a kind, and its index among the node's outputs.
type shown struct {
	node, kind string
	number     int
	entry      any
}

// shownBy lists the outputs of nodes, by node.
func shownBy(outputs *pyjson.Object) (list []shown) {
	for node, v := range outputs.All() {
		o, _ := v.(*pyjson.Object)
		list = append(list, shownAt(node, o)...)
	}
	return list
}

// shownAt lists the outputs of one node: files, and texts.
func shownAt(node string, output *pyjson.Object) (list []shown) {
	for kind, v := range output.All() {
		entries, _ := v.([]any)
		for _, e := range entries {
			switch e := e.(type) {
			case *pyjson.Object:
				if e.String("filename") != "" && e.String("type") != "input" {
					list = append(list, shown{node, kind, len(list), e})
				}
			case string:
				if kind == "text" {
					list = append(list, shown{node, kind, len(list), e})
				}
			}
		}
	}
	return list
}

// output returns the asset of an output, which is entered at its first use; false if its file is missing, or belongs to
// another job by now.
func (a *API) output(c echo.Context, f found, s shown) (outputView, bool, error) {
	lib, err := a.cfg.Library()
	if err != nil {
		return outputView{}, false, err
	}
	entry := s.entry
	if text, is := entry.(string); is {
		if !ours(f.extra) {
			return outputView{}, false, nil // texts of other jobs are only in their history
		}
		if entry, err = a.textFile(c.Request().Context(), f, text, s); err != nil {
			return outputView{}, false, err
		}
	}
	it, ok, err := lib.Output(context.WithoutCancel(c.Request().Context()), a.cfg.Folders(f.owner), entry, f.id, f.owner)
	if err != nil || !ok {
		return outputView{}, false, err
	}
	v := outputView{
		NodeID: s.node, Name: it.Name, ContentType: contentType(it), SizeBytes: it.Asset.Size, ID: it.ID, Hash: optional(it.Asset.Hash),
		URL: contentURL(c, it.ID), URLExpiresAt: stamp(time.Now().Add(linkLifetime)), JobID: &f.id,
	}
	v.Type = kindOf(s.kind, v.Name, v.ContentType)
	return v, true, nil
}

// textFile keeps a text that a node has shown as a file, and returns the entry that names it.
func (a *API) textFile(ctx context.Context, f found, text string, s shown) (*pyjson.Object, error) {
	base := a.cfg.Folders(f.owner).Output()
	path := filepath.Join(base, textFolder)
	name := fmt.Sprintf("%s_%08x_%d.txt", f.id, crc32.ChecksumIEEE([]byte(s.node)), s.number)
	entry := pyjson.NewObject("filename", name, "subfolder", textFolder, "type", "output")
	if _, err := os.Stat(filepath.Join(path, name)); err == nil {
		return entry, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("keeping a text: %w", err)
	}
	dir, err := folders.MakeDir(base, path)
	if err != nil {
		return nil, fmt.Errorf("keeping a text: %w", err)
	}
	write := func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
	if err = dir.WriteNew(name, write); errors.Is(err, fs.ErrExist) { // another request was faster
		err = nil
	}
	if err = errors.Join(err, dir.Close()); err == nil {
		err = a.cfg.Folders(f.owner).Keep(ctx, filepath.Join(path, name))
	}
	if err != nil {
		return nil, fmt.Errorf("keeping a text: %w", err)
	}
	return entry, nil
}

func contentType(it assets.Item) string {
	if it.Asset.MIME != "" {
		return it.Asset.MIME
	}
	if t := mime.TypeByExtension(path.Ext(it.Name)); t != "" {
		return t
	}
	return octetStream
}

// kindOf is the contract's word for what an output is.
func kindOf(kind, name, contentType string) string {
	for _, k := range []string{"image", "video", "audio", "text"} {
		if strings.HasPrefix(contentType, k+"/") {
			return k
		}
	}
	switch {
	case kind == "latents" || strings.HasSuffix(strings.ToLower(name), ".latent"):
		return "latent"
	case kind == "images" && contentType == octetStream:
		return "image"
	case kind == "audio", kind == "text", kind == "video":
		return kind
	}
	return "file"
}
