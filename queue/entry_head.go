package queue

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// The heads of entries are JSON. Reading and writing them by reflection is a good part of what a short job costs, so the fields that nearly all
// heads are made of are read and written here. Any other head goes through encoding/json; the bytes are the same either way.

// marshalHead writes the head of an entry.
func (e *entry) marshalHead() ([]byte, error) {
	if b, ok := e.appendHead(make([]byte, 4, 512)); ok {
		return b, nil
	}
	head, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("writing an entry of the queue's log: %w", err)
	}
	return append(make([]byte, 4, 4+len(head)+len(e.Body)+macSize), head...), nil
}

// rare reports whether an entry has fields that appendHead does not write.
func (e *entry) rare() bool {
	return e.Flags != (Flags{}) || e.Receipt != nil || e.Policy != nil || e.Member != nil || e.Before != nil || e.Secret != nil || e.Key != nil ||
		e.Options.Priority != 0 || e.Options.TimeLimit != 0 || e.Options.Webhook != nil || len(e.Options.Labels) > 0
}

// headWriter appends fields that are not empty. failed: a value needs encoding/json.
type headWriter struct {
	b      []byte
	failed bool
}

func (w *headWriter) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

func (w *headWriter) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			w.failed = true
			return
		}
	}
	w.b = append(append(append(w.b, '"'), s...), '"')
}

func (w *headWriter) text(name, s string) {
	if s != "" {
		w.name(name)
		w.quote(s)
	}
}

func (w *headWriter) number(name string, n int64) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

func (w *headWriter) truth(name string, v bool) {
	if v {
		w.name(name)
		w.b = append(w.b, "true"...)
	}
}

func (w *headWriter) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.name(name)
	w.b = append(w.b, '[')
	for i, s := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.quote(s)
	}
	w.b = append(w.b, ']')
}

func (w *headWriter) needs(n Needs) {
	if len(n.Classes)+len(n.Labels)+len(n.Families)+len(n.Models) == 0 && n.whole == "" {
		if n.Classes != nil || n.Labels != nil || n.Families != nil || n.Models != nil {
			w.name("needs") // lists of no length are not the zero value
			w.b = append(w.b, "{}"...)
		}
		return
	}
	w.name("needs")
	w.b = append(w.b, '{')
	w.texts("classes", n.Classes)
	w.texts("labels", n.Labels)
	w.texts("families", n.Families)
	w.texts("models", n.Models)
	w.b = append(w.b, '}')
}

// wholeLimit bounds the whole numbers that a float64 has without rounding and JSON writes without an exponent.
const wholeLimit = 1 << 53

func (w *headWriter) place(n Number) {
	if n == (Number{}) && !math.Signbit(n.Value) {
		return
	}
	if n.Value != math.Trunc(n.Value) || math.Abs(n.Value) > wholeLimit || n.Value == 0 && math.Signbit(n.Value) {
		w.failed = true
		return
	}
	w.name("number")
	w.b = append(w.b, `{"Value":`...)
	w.b = strconv.AppendInt(w.b, int64(n.Value), 10)
	w.b = append(w.b, `,"Float":`...)
	w.b = append(strconv.AppendBool(w.b, n.Float), '}')
}

// appendHead appends the head, in the order of entry's fields. It reports false when encoding/json must write it.
func (e *entry) appendHead(b []byte) ([]byte, bool) {
	if e.rare() || e.Options.Labels != nil {
		return nil, false
	}
	w := headWriter{b: append(b, `{"v":`...)}
	w.b = strconv.AppendInt(w.b, int64(e.Version), 10)
	w.name("type")
	w.quote(e.Type)
	w.text("from", e.Origin)
	w.number("request", e.Request)
	w.truth("one", e.One)
	w.text("owner", e.Owner)
	w.text("id", e.ID)
	w.text("other", e.Other)
	w.text("grant", e.Grant)
	w.truth("on", e.On)
	w.truth("all", e.All)
	w.place(e.Number)
	w.number("position", int64(e.Position))
	w.number("class", int64(e.Class))
	w.text("client", e.Client)
	w.number("owner_limit", int64(e.OwnerLimit))
	w.needs(e.Needs)
	w.text("worker", e.Worker)
	w.number("seq", e.Seq)
	w.number("attempt", int64(e.Attempt))
	w.text("status", string(e.Status))
	w.texts("resident", e.Resident)
	w.number("tail", int64(e.Tail))
	w.text("cause", e.Cause)
	w.text("trace", e.Trace)
	w.number("free", e.Free)
	w.truth("joined", e.Joined)
	w.number("until", e.Until)
	if len(e.Requests) > 0 {
		w.name("requests")
		for i, n := range e.Requests {
			w.b = append(w.b, "[,"[min(i, 1)])
			w.b = strconv.AppendInt(w.b, n, 10)
		}
		w.b = append(w.b, ']')
	}
	w.number("part", int64(e.Part))
	w.number("speaks", int64(e.Speaks))
	w.number("due", e.Due)
	w.number("level", int64(e.Level))
	w.truth("signed", e.Signed)
	return append(w.b, '}'), !w.failed
}

// headReader reads the head of an entry as marshalHead writes it. failed: encoding/json must read it.
type headReader struct {
	rest   []byte
	failed bool
}

func (r *headReader) take(c byte) bool {
	if len(r.rest) == 0 || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *headReader) need(c byte) {
	if !r.take(c) {
		r.failed = true
	}
}

// raw reads a string of plain ASCII without its quotes.
func (r *headReader) raw() []byte {
	if r.need('"'); r.failed {
		return nil
	}
	for i, c := range r.rest {
		switch {
		case c == '"':
			s := r.rest[:i]
			r.rest = r.rest[i+1:]
			return s
		case c < ' ' || c >= 0x7f || c == '\\':
			r.failed = true
			return nil
		}
	}
	r.failed = true
	return nil
}

func (r *headReader) text() string { return string(r.raw()) }

func (r *headReader) number() int64 {
	negative := r.take('-')
	n, digits := int64(0), 0
	for digits < len(r.rest) && r.rest[digits]-'0' <= 9 {
		n = n*10 + int64(r.rest[digits]-'0')
		digits++
	}
	const most = 18 // digits that an int64 surely has
	if digits == 0 || digits > most || r.rest[0] == '0' && digits > 1 || negative && n == 0 {
		r.failed = true
		return 0
	}
	r.rest = r.rest[digits:]
	if negative {
		return -n
	}
	return n
}

func (r *headReader) whole() int { return int(r.number()) }

func (r *headReader) truth() bool {
	for _, word := range []string{"true", "false"} {
		if len(r.rest) >= len(word) && string(r.rest[:len(word)]) == word {
			r.rest = r.rest[len(word):]
			return word == "true"
		}
	}
	r.failed = true
	return false
}

// each calls f for each value of a list that is not empty.
func (r *headReader) each(f func()) {
	r.need('[')
	for !r.failed {
		if f(); !r.take(',') {
			break
		}
	}
	r.need(']')
}

func (r *headReader) texts() (list []string) {
	r.each(func() { list = append(list, r.text()) })
	return list
}

// fields calls f for each name of an object that is not empty; f reads the value.
func (r *headReader) fields(f func(name []byte)) {
	r.need('{')
	for !r.failed {
		name := r.raw()
		if r.need(':'); r.failed {
			return
		}
		if f(name); !r.take(',') {
			break
		}
	}
	r.need('}')
}

func (r *headReader) place() (n Number) {
	r.fields(func(name []byte) {
		switch string(name) {
		case "Value":
			n.Value = float64(r.number())
			r.failed = r.failed || math.Abs(n.Value) > wholeLimit
		case "Float":
			n.Float = r.truth()
		default:
			r.failed = true
		}
	})
	return n
}

func (r *headReader) needs() (n Needs) {
	if len(r.rest) > 1 && r.rest[0] == '{' && r.rest[1] == '}' {
		r.rest = r.rest[2:]
		return n
	}
	r.fields(func(name []byte) {
		switch string(name) {
		case "classes":
			n.Classes = r.texts()
		case "labels":
			n.Labels = r.texts()
		case "families":
			n.Families = r.texts()
		case "models":
			n.Models = r.texts()
		default:
			r.failed = true
		}
	})
	return n
}

// unmarshalHead reads the head of an entry.
func unmarshalHead(head []byte) (*entry, error) {
	e := &entry{}
	r := headReader{rest: head}
	r.fields(func(name []byte) { e.readField(&r, name) })
	if !r.failed && len(r.rest) == 0 {
		return e, nil
	}
	e = &entry{}
	if err := json.Unmarshal(head, e); err != nil {
		return nil, fmt.Errorf("reading an entry of the queue's log: %w", err)
	}
	return e, nil
}

// readField reads the value of a field. Other fields are left to encoding/json.
func (e *entry) readField(r *headReader, name []byte) {
	switch string(name) {
	case "v":
		e.Version = r.whole()
	case "type":
		e.Type = r.text()
	case "from":
		e.Origin = r.text()
	case "request":
		e.Request = r.number()
	case "owner":
		e.Owner = r.text()
	case "id":
		e.ID = r.text()
	case "grant":
		e.Grant = r.text()
	case "on":
		e.On = r.truth()
	case "number":
		e.Number = r.place()
	case "client":
		e.Client = r.text()
	case "owner_limit":
		e.OwnerLimit = r.whole()
	case "needs":
		e.Needs = r.needs()
	case "worker":
		e.Worker = r.text()
	case "seq":
		e.Seq = r.number()
	case "attempt":
		e.Attempt = r.whole()
	case "status":
		e.Status = Status(r.text())
	case "resident":
		e.Resident = r.texts()
	case "tail":
		e.Tail = r.whole()
	case "trace":
		e.Trace = r.text()
	case "free":
		e.Free = r.number()
	case "joined":
		e.Joined = r.truth()
	case "until":
		e.Until = r.number()
	case "requests":
		r.each(func() { e.Requests = append(e.Requests, r.number()) })
	case "part":
		e.Part = r.whole()
	case "speaks":
		e.Speaks = r.whole()
	case "signed":
		e.Signed = r.truth()
	default:
		r.failed = true
	}
}
