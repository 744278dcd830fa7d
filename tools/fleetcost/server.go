package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/queue/natslog"
)

// serveNATS runs NATS and writes its address and credentials.
func serveNATS(ctx context.Context, store string) error {
	ns, err := natslog.Serve(natslog.ServerConfig{Host: "127.0.0.1", Port: -1, Store: store})
	if err != nil {
		return err
	}
	defer ns.Close()
	err = json.NewEncoder(os.Stdout).Encode(addressOf{URL: ns.URL(), Server: ns.Files[natslog.RoleServer], Worker: ns.Files[natslog.RoleWorker]})
	if err != nil {
		return err
	}
	return ns.Run(ctx)
}

// addressOf is where NATS is, and the files with the credentials of both roles.
type addressOf struct{ URL, Server, Worker string }

// question is a line that a server reads, answer what it writes.
type question struct {
	// Put is how many jobs to queue; Clear drops all, List lists the queue, Pause stops it.
	Put         int
	Clear, List bool
	Pause       bool
	// Heap collects garbage, so that the answer has what is in use.
	Heap bool
}

type answer struct {
	Heap                               int64
	Seconds                            float64
	Err                                string
	Workers, Waiting, Running, History int
}

// serve runs a server that does what it reads.
func serve(ctx context.Context, url, credentials string) error {
	log, err := natslog.Open(ctx, natslog.Config{URLs: []string{url}, Credentials: credentials, Role: natslog.RoleServer})
	if err != nil {
		return err
	}
	q, err := queue.NewDistributed(queue.DistributedConfig{Log: log})
	if err != nil {
		return errors.Join(err, log.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { _ = q.Work(ctx) }) // it ends with ctx
	defer func() { cancel(); work.Wait(); _ = q.Close() }()
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var ask question
		if err := in.Decode(&ask); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		start := time.Now()
		err := do(q, ask)
		a := answer{Seconds: time.Since(start).Seconds()}
		if err != nil {
			a.Err = err.Error()
		}
		st := q.Stats()
		a.Workers, a.Waiting, a.Running, a.History = len(q.Workers()), st.Pending, st.Running, st.History
		if ask.Put > 0 || ask.Heap {
			debug.FreeOSMemory()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		a.Heap = int64(m.HeapAlloc) //nolint:gosec // a heap fits
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func do(q *queue.Distributed, ask question) error {
	switch {
	case ask.Pause:
		return q.Pause()
	case ask.Clear:
		return q.Clear()
	case ask.List:
		q.Snapshot()
		return nil
	}
	return put(q, ask.Put)
}

// put queues jobs by eight clients.
func put(q *queue.Distributed, n int) error {
	const clients = 8
	var all sync.WaitGroup
	failed := make(chan error, clients)
	for i := range clients {
		all.Go(func() {
			for k := i; k < n; k += clients {
				j, err := job()
				if err == nil {
					err = q.Put(j)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// workflow is a text-to-image workflow of the usual size.
const workflow = `{"3": {"class_type": "KSampler", "inputs": {"seed": %d, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
"4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base_1.0.safetensors"}},
"5": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 1024, "batch_size": 1}},
"6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse on a cliff at dusk, long exposure, detailed, %d", "clip": ["4", 1]}},
"7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark, blurry", "clip": ["4", 1]}},
"8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
"9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "fleet"}}}`

var classes = []string{"CLIPTextEncode", "CheckpointLoaderSimple", "EmptyLatentImage", "KSampler", "SaveImage", "VAEDecode"}

func job() (*queue.Job, error) {
	id := uuid.New()
	prompt, err := pyjson.UnmarshalObject([]byte(strings.ReplaceAll(fmt.Sprintf(workflow, id.ID(), id.ID()), "\n", " ")))
	if err != nil {
		return nil, err
	}
	return &queue.Job{ID: id.String(), Prompt: prompt, Extra: pyjson.NewObject("client_id", "fleetcost"), Outputs: []string{"9"}}, nil
}
