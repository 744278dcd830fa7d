package natslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// ServerConfig configures an embedded NATS server. Store is required.
type ServerConfig struct {
	// Host and Port are where it listens; port -1 takes any.
	Host string
	Port int
	// Store is the folder of the streams and of the roles' credentials.
	Store string
	// CertFile and KeyFile switch TLS on.
	CertFile, KeyFile string
	// WaitForDisk makes every entry wait for the disk: then nothing is lost when the machine loses power.
	WaitForDisk bool
	// MaxStore bounds the streams in bytes; 0 means NATS's own bound.
	MaxStore int64
	// Logger may be nil.
	Logger *slog.Logger
}

// Server is a NATS server in this process.
type Server struct {
	ns *server.Server
	// Files are the credentials by role.
	Files map[Role]string
}

const (
	// maxPayload is the largest entry: a prompt, or a job's results.
	maxPayload = 8 << 20
	readyIn    = 30 * time.Second
)

// Serve starts a NATS server with JetStream. At the first start it makes the credentials of both roles.
func Serve(cfg ServerConfig) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Store, 0o700); err != nil {
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	files := map[Role]string{}
	var users []*server.NkeyUser
	for _, role := range []Role{RoleServer, RoleWorker} {
		files[role] = filepath.Join(cfg.Store, string(role)+".nk")
		public, err := seedOf(files[role])
		if err != nil {
			return nil, fmt.Errorf("starting NATS: the credentials of the role %s: %w", role, err)
		}
		users = append(users, &server.NkeyUser{Nkey: public, Permissions: permissions(role)})
	}
	o := &server.Options{
		ServerName: "comfygo", Host: cfg.Host, Port: cfg.Port, JetStream: true, StoreDir: filepath.Join(cfg.Store, "jetstream"), MaxPayload: maxPayload,
		NoSigs: true, Nkeys: users, SyncAlways: cfg.WaitForDisk, JetStreamMaxStore: cfg.MaxStore,
		// Entries are written by several processes at once, each bounded by maxPayload.
		MaxPending: 8 * maxPayload,
	}
	if cfg.CertFile != "" || cfg.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("starting NATS: reading the certificate: %w", err)
		}
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		const handshake = 5
		o.TLS, o.TLSTimeout = true, handshake
	}
	ns, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	ns.SetLoggerV2(serverLog{cfg.Logger}, false, false, false)
	go ns.Start()
	if !ns.ReadyForConnections(readyIn) {
		ns.Shutdown()
		return nil, fmt.Errorf("starting NATS on port %d: it does not get ready; is the port taken, or the store %s used by another process?", cfg.Port, cfg.Store)
	}
	if !ns.JetStreamEnabled() {
		ns.Shutdown()
		return nil, fmt.Errorf("starting NATS: JetStream cannot use the store %s", cfg.Store)
	}
	return &Server{ns, files}, nil
}

// URL is the server's address.
func (s *Server) URL() string { return s.ns.ClientURL() }

// Run returns when ctx has ended and the server has stopped, or with an error when it has stopped by itself.
func (s *Server) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() { s.ns.WaitForShutdown(); close(done) }()
	select {
	case <-ctx.Done():
		s.Close()
		return nil
	case <-done:
		return errors.New("running NATS: it has stopped by itself")
	}
}

// Close stops the server.
func (s *Server) Close() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

// permissions returns the subjects that a role may publish and subscribe to. A worker appends below its own subjects and receives messages
// for workers; it can neither read the entries of servers, history and events of others among them, nor request them from JetStream.
func permissions(r Role) *server.Permissions {
	if r == RoleServer {
		return &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{prefix + ">", "$JS.>", "$O.>", "$KV.>"}},
			// Workers under a server (--workers) have its credentials.
			Subscribe: &server.SubjectPermission{Allow: []string{prefix + ">", r.inbox() + ".>", RoleWorker.inbox() + ".>"}},
		}
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: append(fileSubjects(), logSubject+"w.>", prefix+"from.>")},
		Subscribe: &server.SubjectPermission{Allow: []string{prefix + "to.*", r.inbox() + ".>"}},
	}
}

// seedOf returns the public key of a seed file, which it makes if it is missing. Only its owner may read it.
func seedOf(path string) (public string, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			return "", err
		}
		seed, err := pair.Seed()
		if err != nil {
			return "", err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return "", err
		}
		_, err = f.Write(append(seed, '\n'))
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return "", err
		}
		return pair.PublicKey()
	}
	if err != nil {
		return "", err
	}
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(data))))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, errNoSeed)
	}
	return pair.PublicKey()
}

// serverLog passes NATS's log on.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(format string, v ...any) {
	l.log.Debug("NATS: " + fmt.Sprintf(format, v...))
}

func (l serverLog) Warnf(format string, v ...any) { l.log.Warn("NATS: " + fmt.Sprintf(format, v...)) }

func (l serverLog) Fatalf(format string, v ...any) { l.log.Error("NATS: " + fmt.Sprintf(format, v...)) }

func (l serverLog) Errorf(format string, v ...any) { l.log.Error("NATS: " + fmt.Sprintf(format, v...)) }

func (l serverLog) Debugf(format string, v ...any) { l.log.Debug("NATS: " + fmt.Sprintf(format, v...)) }

func (l serverLog) Tracef(format string, v ...any) { l.log.Debug("NATS: " + fmt.Sprintf(format, v...)) }
