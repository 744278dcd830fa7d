package workflow

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// clock holds what texts depend on.
type clock struct {
	now    func() time.Time
	choose func(n int) int
}

func (c Converter) clock() clock {
	k := clock{c.Now, c.Choose}
	if k.now == nil {
		k.now = time.Now
	}
	if k.choose == nil {
		k.choose = rand.IntN
	}
	return k
}

// text is the value of a widget as the prompt has it: with patterns in file names filled in and one of each {a|b}.
func (d *document) text(w *widget) any {
	v := w.current()
	s, ok := v.(string)
	switch {
	case !ok:
		return v
	case w.filename:
		return d.replace(s)
	case w.dynamic:
		return d.now.pick(s, 0)
	}
	return v
}

var (
	comments  = regexp.MustCompile(`(?s:/\*.*?\*/)|//[^\n\r\x{2028}\x{2029}]*`)
	escapes   = regexp.MustCompile(`\\([{}|])`)
	pattern   = regexp.MustCompile(`%([^%]+)%`)
	dateParts = regexp.MustCompile(`dd?|MM?|hh?|mm?|ss?|yyy?y?`)
	unsafe    = regexp.MustCompile(`[/?<>\\:*|"\x00-\x1F\x7F]`)
)

// pick takes comments out of a text and one alternative of each {a|b}, which may hold others.
func (c clock) pick(s string, depth int) string {
	if depth > maxDepth {
		return s
	}
	s = comments.ReplaceAllString(s, "")
	var out strings.Builder
	for i := 0; i < len(s); {
		switch s[i] {
		case '\\':
			end := min(i+2, len(s))
			out.WriteString(s[i:end])
			if i+1 == len(s) {
				out.WriteString("undefined") // as the front end has it
			}
			i = end
		case '{':
			options, next := alternatives(s, i+1)
			out.WriteString(c.pick(options[c.choose(len(options))], depth+1))
			i = next
		default:
			out.WriteByte(s[i])
			i++
		}
	}
	return escapes.ReplaceAllString(out.String(), "$1")
}

// alternatives splits what stands in braces at the bars that are not in inner braces, and returns where it ends.
func alternatives(s string, i int) ([]string, int) {
	var options []string
	depth, start := 0, i
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return append(options, s[start:i]), i + 1
			}
			depth--
		case '|':
			if depth == 0 {
				options = append(options, s[start:i])
				start = i + 1
			}
		}
	}
	return append(options, s[start:]), len(s)
}

// replace fills in %date:…% and %node.widget%.
func (d *document) replace(s string) string {
	return pattern.ReplaceAllStringFunc(s, func(match string) string {
		text := match[1 : len(match)-1]
		parts := strings.Split(text, ".")
		if len(parts) != 2 {
			if format, ok := strings.CutPrefix(parts[0], "date:"); ok {
				return formatDate(format, d.now.now())
			}
			return match
		}
		n := d.named(parts[0])
		if n == nil {
			return match
		}
		w := n.find(parts[1])
		if w == nil {
			return match
		}
		return unsafe.ReplaceAllString(jsText(w.current()), "_")
	})
}

// named finds the node whose property for search and replace, or else whose title, is a name.
func (d *document) named(name string) *node {
	var byTitle, byName *node
	d.root.walk(map[*graph]bool{}, func(n *node) {
		if v, _ := n.props.Get("Node name for S&R"); byName == nil && v == name {
			byName = n
		}
		if byTitle == nil && n.title == name {
			byTitle = n
		}
	})
	if byName != nil {
		return byName
	}
	return byTitle
}

// formatDate writes a time as a format of d, M, h, m, s and y says.
func formatDate(format string, t time.Time) string {
	return dateParts.ReplaceAllStringFunc(format, func(part string) string {
		switch part {
		case "yy":
			return fmt.Sprintf("%02d", t.Year()%100)
		case "yyyy":
			return strconv.Itoa(t.Year())
		}
		values := map[byte]int{'d': t.Day(), 'M': int(t.Month()), 'h': t.Hour(), 'm': t.Minute(), 's': t.Second()}
		v, ok := values[part[0]]
		if !ok {
			return part
		}
		return fmt.Sprintf("%0*d", len(part), v)
	})
}
