// Package assets keeps a catalogue of the files in the input, output and models folders: their content hash (BLAKE3), their
// names, and the tags and metadata that users give them. It lives in one SQLite file with the tables of
// ComfyUI 0.33.0, so that either program can go on with what the other has written.
//
// An asset is content; a reference is a name for it, with or without a file of its own. A scanner compares the
// catalogue with the folders in the background and can be paused while prompts run.
//
// The package must not know HTTP, WebSockets, nodes or prompts.
package assets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"comfygo/folders"
	"comfygo/internal/pyjson"
)

// Config configures a library. Folders is required.
type Config struct {
	Folders *folders.Folders
	// URL names the database: sqlite:///PATH, or sqlite:// for one in memory. "" is comfyui.db in the user folder.
	URL string
	// Hash makes background scans hash the files that they find.
	Hash bool
	// ContentType guesses a media type from a file's name, "" if it is unknown; nil guesses nothing.
	ContentType func(name string) string
	// Logger may be nil.
	Logger *slog.Logger
}

// Library is an open catalogue. It is safe for concurrent use.
type Library struct {
	cfg    Config
	log    *slog.Logger
	db     *sql.DB
	seeder *seeder

	// ctx ends when the library is closed; work counts what runs until then.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	close  sync.Once

	// adding is held from the look for known content to the entry of the new: of two uploads of the same bytes at the
	// same time one is the first, and the other a second reference.
	adding sync.Mutex
}

// Asset is content. Hash is "blake3:" and 64 digits, or "" while it is not known; MIME may be "".
type Asset struct {
	ID, Hash, MIME string
	Size           int64 // bytes
}

// Reference is a name for an asset. Path is "" for one that a client made without a file of its own.
type Reference struct {
	ID, Owner, Name, Path, Loader, PreviewID, JobID string
	// User is metadata set by clients, System metadata found by the server; either may be nil.
	User, System *pyjson.Object
	// Created, Updated and Accessed are UTC times in the database's form, see Stamp.
	Created, Updated, Accessed Stamp
}

// Item is a reference with its asset and its tags, sorted.
type Item struct {
	Reference
	Asset Asset
	Tags  []string
}

// Stamp is a UTC time as the database stores it: "2026-01-02 03:04:05.000006".
type Stamp string

const stampLayout = "2006-01-02 15:04:05.000000"

func now() Stamp { return Stamp(time.Now().UTC().Format(stampLayout)) }

// ISO returns the time as clients get it: "2026-01-02T03:04:05.000006", without the fraction when that is 0.
func (s Stamp) ISO() string {
	b := []byte(s)
	if len(b) > 10 {
		b[10] = 'T'
	}
	if len(b) == len(stampLayout) && string(b[19:]) == ".000000" {
		b = b[:19]
	}
	return string(b)
}

// Kind is the kind of fault in a request.
type Kind int

// The kinds of problems.
const (
	NotFound Kind = iota
	Forbidden
	Invalid
	HashMismatch
	InvalidCursor
	// NoFile is a reference whose file is missing.
	NoFile
)

// Problem is an error that the client can do something about; its text is for the client.
type Problem struct {
	Kind    Kind
	Message string
}

// Error returns the text.
func (p *Problem) Error() string { return p.Message }

func problem(k Kind, format string, args ...any) error {
	return &Problem{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// IsProblem returns the problem in an error.
func IsProblem(err error) (*Problem, bool) {
	var p *Problem
	ok := errors.As(err, &p)
	return p, ok
}

func notFound(id string) error { return problem(NotFound, "AssetReference %s not found", id) }

// Open opens the database, or makes it. Nothing is scanned yet; see Scan. Only one process can use
// a database.
func Open(cfg Config) (*Library, error) {
	if cfg.Folders == nil {
		return nil, errors.New("opening the assets: folders are required")
	}
	l := &Library{cfg: cfg, log: cfg.Logger}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if cfg.ContentType == nil {
		l.cfg.ContentType = func(string) string { return "" }
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if err := l.openDatabase(); err != nil {
		l.cancel()
		return nil, fmt.Errorf("opening the assets: %w", err)
	}
	l.seeder = newSeeder(l)
	return l, nil
}

// Close ends a running scan, waits for it and closes the database.
func (l *Library) Close() error {
	var err error
	l.close.Do(func() {
		l.cancel()
		l.seeder.shutdown()
		l.work.Wait()
		if e := l.db.Close(); e != nil {
			err = fmt.Errorf("closing the assets: %w", e)
		}
	})
	return err
}
