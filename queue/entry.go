package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"comfygo/internal/pyjson"
)

// Protocol is the newest version of the entries of a Log and of the messages between servers and workers that this program understands. Each entry
// has the oldest version that knows its type; one of a newer version than this stops a server with an error that says so.
//
// Version 2 has entries with several jobs. Servers append none while they hear of a server that does not say that it reads them. Version 3 has the
// level: see level.go, which has the rules of version 4, too.
const Protocol = 4

// The versions of entries.
const (
	firstProtocol = 1
	batchProtocol = 2
	levelProtocol = 3
	clockProtocol = 4
)

// Types of entries.
const (
	entryPut       = "put"       // a job; the body is its listing
	entryDelete    = "delete"    // waiting jobs of a scope: one id, a grant, or all
	entryCancel    = "cancel"    // a job that waits or runs
	entryInterrupt = "interrupt" // running jobs of a scope, with an id only that one
	entryMove      = "move"
	entryClass     = "class"
	entryPause     = "pause"
	entryFree      = "free" // workers free memory or models
	entryForget    = "forget"
	entryShare     = "share"
	entryPolicy    = "policy"
	entryJoin      = "join"    // a worker takes jobs
	entryLeave     = "leave"   // a worker stops by itself; its job returns to the queue
	entryLost      = "lost"    // a server has not heard of a worker for too long
	entryDrain     = "drain"   // a worker takes no more jobs, or does again
	entryEvents    = "events"  // what a running job tells; the body is opaque
	entryEnd       = "end"     // a job's end; the body is its last events and its tail
	entryVoid      = "void"    // changes of a server that the log does not have and does not take any more
	entryBatch     = "batch"   // jobs that one server has accepted at the same time; the body is their entries
	entryAssign    = "assign"  // a job has waited long enough for a worker with its models
	entryClaim     = "claim"   // a server sends a message to a webhook
	entrySettled   = "settled" // that message has arrived, or is sent again later, or is given up
	entryLevel     = "level"   // from here on the rules of a version are in force, which every process must know
)

// versions are those of the types that not all versions know.
var versions = map[string]int{entryBatch: batchProtocol, entryLevel: levelProtocol, entryAssign: levelProtocol, entryClaim: levelProtocol, entrySettled: levelProtocol, messageWelcome: levelProtocol}

// entry is one entry of the log. Which fields count depends on its type.
type entry struct {
	Version int    `json:"v"`
	Type    string `json:"type"`
	// Origin is the process that waits for the entry's effect under the number Request.
	Origin  string `json:"from,omitempty"`
	Request int64  `json:"request,omitempty"`
	// One and Owner are the scope.
	One   bool   `json:"one,omitempty"`
	Owner string `json:"owner,omitempty"`

	ID     string `json:"id,omitempty"`
	Other  string `json:"other,omitempty"`
	Grant  string `json:"grant,omitempty"`
	On     bool   `json:"on,omitempty"`
	All    bool   `json:"all,omitempty"`
	Number Number `json:"number,omitzero"`
	// Position is the position to move a job to.
	Position int   `json:"position,omitempty"`
	Class    Class `json:"class,omitempty"`
	Flags    Flags `json:"flags,omitzero"`

	Client     string     `json:"client,omitempty"`
	Options    Options    `json:"options,omitzero"`
	OwnerLimit int        `json:"owner_limit,omitempty"`
	Needs      Needs      `json:"needs,omitzero"`
	Receipt    *Receipt   `json:"receipt,omitempty"`
	Policy     *Policy    `json:"policy,omitempty"`
	Worker     string     `json:"worker,omitempty"`
	Member     *WorkerAd  `json:"member,omitempty"`
	Seq        int64      `json:"seq,omitempty"`
	Attempt    int        `json:"attempt,omitempty"`
	Status     Status     `json:"status,omitempty"`
	Resident   []string   `json:"resident,omitempty"`
	Tail       int        `json:"tail,omitempty"` // how many bytes at the end of the body are the tail
	Cause      string     `json:"cause,omitempty"`
	Before     *time.Time `json:"before,omitempty"`
	Trace      string     `json:"trace,omitempty"`
	Free       int64      `json:"free,omitempty"`   // VRAM in bytes
	Joined     bool       `json:"joined,omitempty"` // the worker takes itself for a member
	// Until is the time after which the entry has no effect, in milliseconds by the log's clock; 0: none.
	Until int64 `json:"until,omitempty"`
	// Requests are the requests that a void entry calls off, or those of the jobs in a batch, in their order.
	Requests []int64 `json:"requests,omitempty"`
	// Part counts the entries with what one run tells, from 1.
	Part int `json:"part,omitempty"`
	// Speaks is the newest version that a process understands, in its beats and when a worker joins; 0: the first.
	Speaks int `json:"speaks,omitempty"`
	// Due is when a message to a webhook is sent again, in milliseconds by the log's clock; 0: never.
	Due int64 `json:"due,omitempty"`
	// Level is the version whose rules come into force, Secret the fleet's private key unless it has one.
	Level  int    `json:"level,omitempty"`
	Secret []byte `json:"secret,omitempty"`
	// Key is the fleet's public key.
	Key []byte `json:"key,omitempty"`
	// Signed: the worker's MAC follows the body.
	Signed bool   `json:"signed,omitempty"`
	Body   []byte `json:"-"`

	byWorker bool // as of Record.ByWorker
	// signed are the bytes that the MAC is of.
	signed, mac []byte
}

// Several jobs may share an entry. A job's key is the entry's number, with the job's position in the entry in the bits above.
const keyShift = 40

func keyOf(seq int64, position int) int64 { return seq | int64(position)<<keyShift }

func seqOf(key int64) (seq int64, position int) { return key & (1<<keyShift - 1), int(key >> keyShift) }

// encodeBatch writes one entry that has several, of a server's requests.
func encodeBatch(origin string, requests []int64, list [][]byte) ([]byte, error) {
	e := entry{Type: entryBatch, Origin: origin, Requests: requests}
	for _, data := range list {
		e.Body = frameRecord(e.Body, data)
	}
	return e.encode()
}

// members reads the entries of a batch. Their bodies lie in its body.
func (e *entry) members() (list []*entry, err error) {
	for rest := e.Body; len(rest) > 0; {
		n := recordSize(rest)
		if n <= 4 || n < 4+int(binary.BigEndian.Uint32(rest)) {
			return nil, errors.New("reading an entry of the queue's log: one of its jobs is cut off")
		}
		m, err := decodeEntry(rest[4:n])
		if err != nil {
			return nil, err
		}
		if m.Type != entryPut {
			return nil, fmt.Errorf("reading an entry of the queue's log: the type %s among jobs", m.Type)
		}
		list, rest = append(list, m), rest[n:]
	}
	if len(list) == 0 {
		return nil, errors.New("reading an entry of the queue's log: it has no jobs")
	}
	return list, nil
}

// encode writes an entry: the length of its head, the head as JSON, the body.
func (e *entry) encode() ([]byte, error) {
	e.Version = max(firstProtocol, versions[e.Type])
	if e.Signed {
		e.Version = max(e.Version, levelProtocol)
	}
	if e.Type == entryLevel {
		e.Version = max(e.Version, e.Level) // who does not know the rules must not pass over it
	}
	b, err := e.marshalHead()
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4)) //nolint:gosec // bounded by the log
	b = slices.Grow(b, len(e.Body)+macSize)
	return append(b, e.Body...), nil
}

// errNewer means that another process speaks a newer version of the protocol.
var errNewer = errors.New("another process of this fleet speaks a newer protocol: upgrade this one")

// decodeEntry is the opposite of encode. The body lies in data.
func decodeEntry(data []byte) (*entry, error) {
	if len(data) < 4 {
		return nil, errors.New("reading an entry of the queue's log: it is cut off")
	}
	n := int64(binary.BigEndian.Uint32(data))
	if n > int64(len(data)-4) {
		return nil, errors.New("reading an entry of the queue's log: its head is cut off")
	}
	e, err := unmarshalHead(data[4 : 4+n])
	if err != nil {
		return nil, err
	}
	if e.Version > Protocol {
		return nil, fmt.Errorf("%w (it has version %d, this one %d)", errNewer, e.Version, Protocol)
	}
	e.Body = data[4+n:]
	if e.Signed {
		cut := len(data) - macSize
		if cut < int(4+n) {
			return nil, errors.New("reading an entry of the queue's log: its MAC is cut off")
		}
		e.Body, e.signed, e.mac = data[4+n:cut], data[:cut], data[cut:]
	}
	switch {
	case e.Tail < 0 || e.Tail > len(e.Body):
		return nil, errors.New("reading an entry of the queue's log: its tail is cut off")
	case e.Type == entryJoin && e.Member == nil, e.Type == entryPolicy && e.Policy == nil:
		return nil, fmt.Errorf("reading an entry of the queue's log: the type %s without its content", e.Type)
	}
	return e, nil
}

// allowed returns the entries that an entry has in it. Workers may append only what is about themselves and their jobs, whatever NATS lets them
// send; anything else is an error.
func (e *entry) allowed(byWorker bool) ([]*entry, error) {
	if !byWorker {
		if e.Type == entryBatch {
			return e.members()
		}
		return []*entry{e}, nil
	}
	switch e.Type {
	case entryJoin, entryLeave, entryDrain, entryEvents, entryEnd:
	default:
		return nil, fmt.Errorf("reading an entry of the queue's log: a worker may not append the type %q", e.Type)
	}
	if e.Worker == "" {
		return nil, fmt.Errorf("reading an entry of the queue's log: the type %s of a worker without its id", e.Type)
	}
	e.Origin, e.Until, e.byWorker = "", 0, true // no server waits for it
	return []*entry{e}, nil
}

// Needs are a job's requirements on the worker that runs it.
type Needs struct {
	// Classes are the node classes of the prompt, sorted. Labels are the labels that the job requires, sorted.
	Classes []string `json:"classes,omitempty"`
	Labels  []string `json:"labels,omitempty"`
	// Families are the model families that the prompt needs, as far as the server that accepted it knows, sorted.
	Families []string `json:"families,omitempty"`
	// Models are the names of model files in the prompt, sorted: a worker that has them loaded is preferred.
	Models []string `json:"models,omitempty"`

	whole string // classes, labels and models in one text
}

// key is the same for jobs that the same workers can run.
func (n Needs) key() string {
	if len(n.Classes)+len(n.Labels)+len(n.Families) == 0 {
		return ""
	}
	return strings.Join(n.Classes, "\x00") + "\x01" + strings.Join(n.Labels, "\x00") + "\x01" + strings.Join(n.Families, "\x00")
}

// setNeeds sets a job's needs. Jobs with equal ones share them.
func (m *machine) setNeeds(j *Job, n Needs) {
	key, models := n.key(), strings.Join(n.Models, "\x00")
	whole := key + "\x02" + models
	same, known := m.known[whole]
	if !known {
		if len(m.known) >= knownNeeds {
			clear(m.known)
		}
		n.whole = whole
		m.known[whole], same = n, n
	}
	j.needs, j.needsKey, j.modelsKey = same, same.whole[:len(key)], same.whole[len(key)+1:]
}

// modelSuffixes are the endings of the names of model files.
var modelSuffixes = []string{".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx"}

// needsOf reads a job's needs from its prompt.
func needsOf(j *Job) Needs {
	classes, models := map[string]bool{}, map[string]bool{}
	for _, v := range j.Prompt.All() {
		node, ok := v.(*pyjson.Object)
		if !ok {
			continue
		}
		if class := node.String("class_type"); class != "" {
			classes[class] = true
		}
		for _, in := range node.Object("inputs").All() {
			name, ok := in.(string)
			if ok && slices.ContainsFunc(modelSuffixes, func(s string) bool { return strings.HasSuffix(name, s) }) {
				models[name] = true
			}
		}
	}
	return Needs{Classes: sortedKeys(classes), Models: sortedKeys(models), Labels: j.Options.Labels}
}

func sortedKeys(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for k := range set {
		list = append(list, strings.Clone(k))
	}
	slices.Sort(list)
	return list
}

// WorkerAd is a worker's description of itself.
type WorkerAd struct {
	// Name is the worker's name for people: host and process.
	Name string `json:"name"`
	// Version is the program's.
	Version string `json:"version,omitempty"`
	// Device is the device that it computes on, VRAM its memory in bytes.
	Device    string `json:"device,omitempty"`
	VRAMTotal int64  `json:"vram_total,omitempty"`
	VRAMFree  int64  `json:"vram_free,omitempty"`
	// Classes are the node classes that it has, sorted, Families the model families.
	Classes  []string `json:"classes,omitempty"`
	Families []string `json:"families,omitempty"`
	Labels   []string `json:"labels,omitempty"`
}

// missing returns what of the needs a worker does not have.
func (w *WorkerAd) missing(n Needs) (classes, labels, families []string) {
	for _, c := range n.Classes {
		if _, ok := slices.BinarySearch(w.Classes, c); !ok {
			classes = append(classes, c)
		}
	}
	for _, l := range n.Labels {
		if !slices.Contains(w.Labels, l) {
			labels = append(labels, l)
		}
	}
	for _, f := range n.Families {
		if !slices.Contains(w.Families, f) {
			families = append(families, f)
		}
	}
	return classes, labels, families
}
