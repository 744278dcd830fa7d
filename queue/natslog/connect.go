package natslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go"
)

// Connect connects to NATS for other things than the log, as the role may. It tries until ctx ends.
func Connect(ctx context.Context, cfg Config) (*nats.Conn, error) {
	if len(cfg.URLs) == 0 {
		return nil, errors.New("connecting to NATS: no address given")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	options, err := (&Log{cfg: cfg, log: cfg.Logger}).options()
	if err != nil {
		return nil, err
	}
	for {
		conn, err := nats.Connect(strings.Join(cfg.URLs, ","), options...)
		if err == nil {
			return conn, nil
		}
		if lasting(err) || !pause(ctx, retryEvery) {
			return nil, fmt.Errorf("connecting to NATS at %s: %w", Addresses(cfg.URLs), err)
		}
	}
}

// FileBucket is the name of the buckets with files (--files nats).
const FileBucket = "comfygo-files"

// fileSubjects returns the subjects that a worker may publish to for files: those of their two buckets and of JetStream for them, not to
// change or delete the buckets.
func fileSubjects() []string {
	list := []string{"$KV." + FileBucket + ".>", "$O." + FileBucket + ".>", "$JS.FC.OBJ_" + FileBucket + ".>", "$JS.FC.KV_" + FileBucket + ".>"}
	for _, stream := range []string{"KV_" + FileBucket, "OBJ_" + FileBucket} {
		for _, api := range []string{"STREAM.INFO.", "STREAM.PURGE.", "STREAM.MSG.GET.", "DIRECT.GET.", "CONSUMER.CREATE.", "CONSUMER.INFO."} {
			list = append(list, "$JS.API."+api+stream, "$JS.API."+api+stream+".>")
		}
		list = append(list, "$JS.API.CONSUMER.DELETE."+stream+".>", "$JS.API.CONSUMER.MSG.NEXT."+stream+".>", "$JS.ACK."+stream+".>")
	}
	return list
}
