package executor

import (
	"fmt"
	"unicode/utf8"

	"comfygo/internal/pyjson"
)

// Limits bound the server's own work for a prompt. Zero values mean the defaults.
type Limits struct {
	// Nodes is the largest number of nodes of a prompt (default MostNodes).
	Nodes int
	// Text is the largest text, in bytes, that outputs, events and the history hold of a node's value (default MostText).
	Text int
	// JobText is the largest amount of text, in bytes, that they hold of all of a job's nodes (default MostJobText).
	JobText int
}

// The default limits.
const (
	MostNodes   = 100_000
	MostText    = 256 << 10
	MostJobText = 8 << 20
)

const (
	// leastText is the length of a text that is still shown when the job's share is used up.
	leastText = 256
	// markRoom is more than the mark of a cut takes.
	markRoom = 64
	// memberSize is the size that a member of a list or an object counts besides its content.
	memberSize = 8
)

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		value *int
		def   int
	}{{&l.Nodes, MostNodes}, {&l.Text, MostText}, {&l.JobText, MostJobText}} {
		if *f.value <= 0 {
			*f.value = f.def
		}
	}
	return l
}

// cutter shortens the shown part of a job. The values that nodes pass to each other are not changed.
type cutter struct {
	text int // the limit of one text
	left int // what the job may still show
}

func newCutter(l Limits) *cutter { return &cutter{text: l.Text, left: l.JobText} }

// string returns s, or its beginning with a mark that reports the full length.
func (c *cutter) string(s string) string {
	most := min(c.text, max(c.left, leastText))
	if len(s) <= most+markRoom { // what has been cut before is not cut again for its mark
		c.left -= len(s)
		return s
	}
	c.left -= most
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s… [cut: the first %d of %d bytes]", s[:end], end, len(s))
}

// value returns v with its texts cut. Lists and objects end with a mark where the job's share ends within them. The names of
// files are always kept: without them a job's results could not be found.
func (c *cutter) value(v any) any {
	switch v := v.(type) {
	case string:
		return c.string(v)
	case []any:
		out := make([]any, 0, min(len(v), 1024))
		for i, e := range v {
			if c.left <= -c.text && !isFile(e) {
				return append(out, fmt.Sprintf("… [cut: the first %d of %d elements]", i, len(v)))
			}
			c.left -= memberSize
			out = append(out, c.value(e))
		}
		return out
	case *pyjson.Object:
		if v == nil || isFile(v) {
			return v
		}
		out := pyjson.NewObject()
		for key, e := range v.All() {
			if c.left <= -c.text {
				return out.Set("…", fmt.Sprintf("[cut: the first %d of %d members]", out.Len(), v.Len()))
			}
			c.left -= memberSize + len(key)
			out.Set(c.key(key), c.value(e))
		}
		return out
	}
	return v
}

// isFile reports whether v refers to a saved file, as entries of "images" do.
func isFile(v any) bool {
	o, ok := v.(*pyjson.Object)
	const names, members = 1024, 16
	return ok && o != nil && o.Has("filename") && o.Len() <= members && len(o.String("filename"))+len(o.String("subfolder")) <= names
}

// key bounds the key of a member; those of prompts and outputs are short.
func (c *cutter) key(k string) string {
	if len(k) <= leastText {
		return k
	}
	return c.string(k)
}

// object is value for an object.
func (c *cutter) object(o *pyjson.Object) *pyjson.Object {
	if o == nil {
		return nil
	}
	return c.value(o).(*pyjson.Object)
}
