// Package natslog keeps the log of a queue that several processes share in NATS JetStream, and has an embedded NATS server for users who
// run none.
//
// It must not know the contents of the entries, nor what a job is.
package natslog

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"comfygo/queue"
)

// Role limits what a process may do; the server enforces it by the role's credentials.
type Role string

// The roles.
const (
	RoleServer Role = "server"
	RoleWorker Role = "worker"
)

// Config configures the connection to NATS. URLs are required.
type Config struct {
	// URLs are nats:// or tls:// addresses; the first that answers is used.
	URLs []string
	// Credentials is a file with an nkey seed, a .creds file, or a file with a token; "" means none.
	Credentials string
	// CA is a file with the certificates that servers are trusted by; "" means the system's.
	CA string
	// Certificate and Key are files with the client's own certificate; "" means none.
	Certificate, Key string
	// Role is the role of the process.
	Role Role
	// Replicas is on how many NATS servers the log is kept; 0 means 1.
	Replicas int
	// Name is the connection's name in NATS.
	Name string
	// Logger may be nil.
	Logger *slog.Logger
}

// Names in NATS. Servers append below logs.s, workers below logs.w; each role may listen only to what its part needs.
const (
	streamName  = "COMFYGO"
	counterName = "COMFYGO_NUMBERS"
	stateBucket = "comfygo-state"
	prefix      = "comfygo."
	logSubject  = prefix + "log."
	counter     = prefix + "number"
)

// dedup is the time for which an entry is recognised by its id.
const dedup = 5 * time.Minute

// Log is a queue.Log in JetStream.
type Log struct {
	cfg  Config
	log  *slog.Logger
	conn *nats.Conn
	js   jetstream.JetStream

	mu      sync.Mutex
	stream  jetstream.Stream // nil in a worker
	state   jetstream.ObjectStore
	numbers numbers

	link link
}

var _ queue.Log = (*Log)(nil)

// Open connects to NATS and, in a server, makes the streams that are missing. It tries until ctx ends.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{cfg: cfg, log: cfg.Logger}
	where := Addresses(cfg.URLs)
	var err error
	if l.conn, err = Connect(ctx, cfg); err != nil {
		return nil, err
	}
	l.link.watch(l.conn)
	if l.js, err = jetstream.New(l.conn); err != nil {
		l.conn.Close()
		return nil, fmt.Errorf("connecting to NATS at %s: %w", where, err)
	}
	if cfg.Role == RoleWorker {
		return l, nil
	}
	for {
		if err = l.prepare(ctx); err == nil {
			return l, nil
		}
		if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) || !pause(ctx, retryEvery) {
			l.conn.Close()
			return nil, fmt.Errorf("preparing the queue in NATS at %s: %w", where, err)
		}
	}
}

const retryEvery = 300 * time.Millisecond

// lasting reports whether an error of connecting does not go away by itself.
func lasting(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || strings.Contains(strings.ToLower(err.Error()), "authorization violation")
}

// Addresses are URLs without what may be secret in them, for messages.
func Addresses(urls []string) string {
	list := make([]string, len(urls))
	for i, u := range urls {
		scheme, rest, ok := strings.Cut(u, "://")
		if !ok {
			scheme, rest = "nats", u
		}
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = rest[at+1:]
		}
		list[i] = scheme + "://" + rest
	}
	return strings.Join(list, ", ")
}

// inbox returns the prefix of a role's subjects for answers: no role may listen to another's.
func (r Role) inbox() string { return "_INBOX_" + strings.ToUpper(string(r)) }

func (l *Log) options() ([]nats.Option, error) {
	cfg := &l.cfg
	const pings, lost = 5 * time.Second, 3
	o := []nats.Option{
		nats.Name(cfg.Name), nats.MaxReconnects(-1), nats.ReconnectWait(retryEvery), nats.ReconnectJitter(retryEvery/3, retryEvery), nats.PingInterval(pings), nats.MaxPingsOutstanding(lost),
		nats.CustomInboxPrefix(cfg.Role.inbox()), nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.log.Warn("the connection to NATS is lost", "error", err) }),
		nats.ReconnectHandler(func(c *nats.Conn) { l.log.Info("connected to NATS again", "address", c.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			l.log.Warn("NATS", "error", err, "subject", subject)
		}),
	}
	if cfg.CA != "" {
		o = append(o, nats.RootCAs(cfg.CA))
	}
	if (cfg.Certificate == "") != (cfg.Key == "") {
		return nil, errors.New("connecting to NATS: a client certificate needs its key, and the other way round")
	}
	if cfg.Certificate != "" {
		o = append(o, nats.ClientCert(cfg.Certificate, cfg.Key))
	}
	if cfg.Credentials == "" {
		return o, nil
	}
	auth, err := credentials(cfg.Credentials)
	if err != nil {
		return nil, fmt.Errorf("reading the NATS credentials: %w", err)
	}
	return append(o, auth), nil
}

// prepare makes the streams.
func (l *Log) prepare(ctx context.Context) error {
	replicas := max(1, l.cfg.Replicas)
	stream, err := l.makeStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{logSubject + ">"}, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		Replicas: replicas, Duplicates: dedup, AllowDirect: true, Discard: jetstream.DiscardNew,
		Description: "comfygo: the queue's log",
	})
	if err != nil {
		return err
	}
	counting, err := l.makeStream(ctx, jetstream.StreamConfig{
		Name: counterName, Subjects: []string{counter}, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, MaxMsgs: 1, Replicas: replicas,
		Description: "comfygo: the number of the next prompt",
	})
	if err != nil {
		return err
	}
	state, err := l.js.ObjectStore(ctx, stateBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		state, err = l.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: stateBucket, Replicas: replicas, Description: "comfygo: the queue's state"})
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream, l.state, l.numbers.stream = stream, state, counting
	return nil
}

func (l *Log) makeStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := l.js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = l.js.CreateStream(ctx, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the stream %s: %w", cfg.Name, err)
	}
	return stream, nil
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// trouble is an error of NATS that also is queue.ErrUnavailable, and others of that package.
type trouble struct {
	err error
	// uncertain: what was to be added may be there, or still come. full: NATS has no room.
	uncertain, full bool
}

// Error describes the fault, and what to do about a full store.
func (t *trouble) Error() string {
	text := queue.ErrUnavailable.Error()
	if t.full {
		text = queue.ErrFull.Error()
	}
	text += ": NATS: " + t.err.Error()
	if t.full {
		text += "; raise the limit of its JetStream store (comfygo nats --store-max) or give it more disk"
	}
	return text
}

// Unwrap returns all of them.
func (t *trouble) Unwrap() []error {
	list := []error{queue.ErrUnavailable, t.err}
	if t.uncertain {
		list = append(list, queue.ErrUncertain)
	}
	if t.full {
		list = append(list, queue.ErrFull)
	}
	return list
}

// Codes of JetStream for a store that is full.
const (
	codeAccountFull = 10002
	codeServerFull  = 10023
	codeStorageFull = 10047
	codeNotStored   = 10077
)

// isFull reports whether JetStream has refused an entry for lack of room.
func isFull(api *jetstream.APIError) bool {
	switch api.ErrorCode {
	case codeAccountFull, codeServerFull, codeStorageFull:
		return true
	case codeNotStored:
		return strings.Contains(api.Description, "maximum") || strings.Contains(api.Description, "no space")
	}
	return false
}

// unsent reports whether an error means that a message has not left this process, or that NATS had no use for it.
func unsent(err error) bool {
	for _, e := range []error{
		nats.ErrNoResponders, jetstream.ErrNoStreamResponse, nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting,
		nats.ErrConnectionDraining, nats.ErrInvalidConnection,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// publishPatience is the time that one attempt to append may take.
const publishPatience = 2 * time.Second

// Append implements queue.Log.
func (l *Log) Append(ctx context.Context, k queue.Keep, id string, data []byte) error {
	subject := logSubject + "s." + string(k)
	if l.cfg.Role == RoleWorker || l.cfg.Role == RoleServer && k == queue.KeepEvents {
		subject = logSubject + "w." + string(k)
	}
	if ctx.Err() != nil {
		return &trouble{err: context.Cause(ctx)}
	}
	uncertain := false
	for {
		closed := l.conn.IsClosed() // else a message whose answer the end of the connection cut off looks like one that was not sent
		tryCtx, cancel := l.link.during(ctx, publishPatience)
		_, err := l.js.Publish(tryCtx, subject, data, jetstream.WithMsgID(id), jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			return nil
		}
		var api *jetstream.APIError
		switch answered := errors.As(err, &api); {
		case answered && isFull(api):
			return &trouble{err: err, uncertain: uncertain, full: true}
		case answered && api.Code == 400 || errors.Is(err, nats.ErrMaxPayload): // the entry itself is at fault
			return &trouble{err: err, uncertain: uncertain}
		case !answered && !unsent(err) && (!closed || !errors.Is(err, nats.ErrConnectionClosed)):
			uncertain = true
		}
		if !pause(ctx, retryEvery/3) {
			return &trouble{err: err, uncertain: uncertain}
		}
	}
}

// Follow implements queue.Log.
func (l *Log) Follow(ctx context.Context, after int64, f func(queue.Record) error, caughtUp func()) error {
	end := int64(-1)
	for ctx.Err() == nil {
		askCtx, cancel := l.link.during(ctx, askPatience)
		info, err := l.stream.Info(askCtx)
		cancel()
		if err != nil {
			pause(ctx, retryEvery)
			continue
		}
		last := int64(info.State.LastSeq) //nolint:gosec // it counts entries
		if last < after {
			return fmt.Errorf("following the queue's log: it ends at %d and %d was read: NATS has lost its store or another one is there; start the servers again", last, after)
		}
		if end < 0 {
			end = last
		}
		if end >= 0 && after >= end || info.State.Msgs == 0 {
			caughtUp()
			caughtUp = func() {}
		}
		if err := l.followFrom(ctx, &after, end, f, &caughtUp); err != nil {
			return err
		}
		pause(ctx, retryEvery/3)
	}
	return nil
}

// followFrom reads from one consumer as long as that works. end is the last entry that was there at the beginning.
func (l *Log) followFrom(ctx context.Context, after *int64, end int64, f func(queue.Record) error, caughtUp *func()) error {
	back := l.link.next()
	askCtx, cancel := l.link.during(ctx, askPatience)
	defer cancel()
	cons, err := l.stream.OrderedConsumer(askCtx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: uint64(*after + 1), InactiveThreshold: time.Minute, //nolint:gosec // not below 0
	})
	if err != nil {
		l.log.Warn("following the queue's log", "error", err)
		return nil
	}
	const ahead, beat = 500, 2 * time.Second
	messages, err := cons.Messages(jetstream.PullMaxMessages(ahead), jetstream.PullHeartbeat(beat))
	if err != nil {
		l.log.Warn("following the queue's log", "error", err)
		return nil
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	var seen atomic.Int64
	seen.Store(*after)
	quit := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { l.watch(ctx, &seen, quit, back, messages.Stop) })
	defer watching.Wait()
	defer close(quit)
	for {
		m, err := messages.Next()
		if err != nil {
			if ctx.Err() == nil {
				l.log.Warn("following the queue's log", "error", err)
			}
			return nil
		}
		meta, err := m.Metadata()
		if err != nil {
			l.log.Warn("following the queue's log", "error", err)
			return nil
		}
		seq := int64(meta.Sequence.Stream) //nolint:gosec // it counts entries
		if seq > *after {
			if err := f(queue.Record{Seq: seq, Time: meta.Timestamp, Data: m.Data(), ByWorker: strings.HasPrefix(m.Subject(), logSubject+"w.")}); err != nil {
				return err
			}
			*after = seq
			seen.Store(seq)
		}
		if seq >= end || meta.NumPending == 0 {
			(*caughtUp)()
			*caughtUp = func() {}
		}
	}
}

// watch calls stop when the log has entries and none of them comes, and when back says that there is a new connection: the client's consumer may
// wait without end after a connection was cut.
func (l *Log) watch(ctx context.Context, seen *atomic.Int64, quit, back <-chan struct{}, stop func()) {
	const every = 2 * time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := seen.Load(); ; {
		select {
		case <-quit:
			return
		case <-ctx.Done():
			return
		case <-back:
			stop()
			return
		case <-tick.C:
		}
		if now := seen.Load(); now != last {
			last = now
			continue
		}
		askCtx, cancel := l.link.during(ctx, askPatience)
		info, err := l.stream.Info(askCtx)
		cancel()
		if err == nil && int64(info.State.LastSeq) > last && seen.Load() == last && info.State.Msgs > 0 { //nolint:gosec // it counts entries
			l.log.Warn("following the queue's log: nothing comes though there is more; asking again", "have", last, "last", info.State.LastSeq)
			stop()
			return
		}
	}
}

// askPatience is the time that one question to NATS may take.
const askPatience = 5 * time.Second

// Read implements queue.Log.
func (l *Log) Read(ctx context.Context, seq int64) ([]byte, error) {
	m, err := l.stream.GetMsg(ctx, uint64(seq)) //nolint:gosec // above 0
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("reading entry %d: %w", seq, fs.ErrNotExist)
	}
	if err != nil {
		return nil, &trouble{err: err}
	}
	return m.Data, nil
}

// Forget implements queue.Log.
func (l *Log) Forget(ctx context.Context, seqs []int64) error {
	for _, seq := range seqs {
		if err := l.stream.DeleteMsg(ctx, uint64(seq)); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { //nolint:gosec // above 0
			return &trouble{err: err}
		}
	}
	return nil
}

// Trim implements queue.Log.
func (l *Log) Trim(ctx context.Context, k queue.Keep, upTo int64) error {
	for _, side := range []string{"s.", "w."} {
		err := l.stream.Purge(ctx, jetstream.WithPurgeSubject(logSubject+side+string(k)), jetstream.WithPurgeSequence(uint64(upTo+1))) //nolint:gosec // above 0
		if err != nil {
			return &trouble{err: err}
		}
	}
	return nil
}

// statePatience is the time that the transfer of a state may take.
const statePatience = 30 * time.Second

// stateName is the object of a state; names sort as the numbers do.
func stateName(seq int64) string { return fmt.Sprintf("%020d", seq) }

// SaveState implements queue.Log. States of before go, all but the newest of them.
func (l *Log) SaveState(ctx context.Context, seq int64, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, statePatience)
	defer cancel()
	if _, err := l.state.PutBytes(ctx, stateName(seq), data); err != nil {
		return &trouble{err: err}
	}
	names, err := l.states(ctx)
	if err != nil {
		return err
	}
	const kept = 2
	for _, name := range names[:max(0, len(names)-kept)] {
		if err := l.dropState(ctx, name); err != nil {
			l.log.Debug("dropping an old state of the queue", "error", err)
		}
	}
	return nil
}

// dropState removes a state, and the mark that NATS would keep of its name: each state has another one, and all marks are read with the list.
func (l *Log) dropState(ctx context.Context, name string) error {
	if err := l.state.Delete(ctx, name); err != nil {
		return err
	}
	stream, err := l.js.Stream(ctx, "OBJ_"+stateBucket)
	if err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject("$O."+stateBucket+".M."+base64.URLEncoding.EncodeToString([]byte(name))))
}

// states are the names of what SaveState has kept, in their order.
func (l *Log) states(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	infos, err := l.state.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, &trouble{err: err}
	}
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	slices.Sort(names)
	return names, nil
}

// Floor implements queue.Log. A server that saves a state drops no more than what the one before it has.
func (l *Log) Floor(ctx context.Context) (int64, error) {
	names, err := l.states(ctx)
	if err != nil || len(names) < 2 {
		return 0, err
	}
	return stateNumber(names[len(names)-2])
}

// stateNumber is the opposite of stateName.
func stateNumber(name string) (int64, error) {
	seq, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the queue's state: the bucket %s has %q, which is not this program's", stateBucket, name)
	}
	return seq, nil
}

// LoadState implements queue.Log.
func (l *Log) LoadState(ctx context.Context) (int64, []byte, error) {
	names, err := l.states(ctx)
	if err != nil || len(names) == 0 {
		return 0, nil, err
	}
	name := names[len(names)-1]
	seq, err := stateNumber(name)
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, statePatience)
	defer cancel()
	data, err := l.state.GetBytes(ctx, name)
	if err != nil {
		return 0, nil, &trouble{err: err}
	}
	return seq, data, nil
}

// Send implements queue.Log.
func (l *Log) Send(to string, data []byte) error { return l.conn.Publish(prefix+to, data) }

// Receive implements queue.Log.
func (l *Log) Receive(to string, f func(data []byte)) (stop func(), err error) {
	sub, err := l.conn.Subscribe(prefix+to, func(m *nats.Msg) { f(m.Data) })
	if err != nil {
		return nil, fmt.Errorf("listening to %s: %w", to, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// MaxSize implements queue.Log. Part of what NATS takes is for the headers.
func (l *Log) MaxSize() int {
	const headers = 1 << 10
	return int(l.conn.MaxPayload()) - headers
}

// Err implements queue.Log.
func (l *Log) Err() error {
	if l.conn.IsConnected() {
		return nil
	}
	return &trouble{err: errors.New("not connected")}
}

// Close implements queue.Log.
func (l *Log) Close() error {
	l.conn.Close()
	l.numbers.helpers.Wait()
	return nil
}
