package worker

import (
	"comfygo/internal/pyjson"
	"comfygo/server/hub"
)

// SendOfPack sends a message of a node pack to a client, with client "" to all. Where clients have owners only those of the running job's
// owner get it: a pack knows nothing of owners.
func (s *Service) SendOfPack(event string, data any, client string) {
	if s.remote.out.Load() != nil {
		s.remote.SendOfPack(event, data, client)
		return
	}
	if to, ok := s.packTarget(client); ok {
		s.Hub.Send(event, data, to)
	}
}

// SendBinaryOfPack is SendOfPack for a binary message of upstream's numbers.
func (s *Service) SendBinaryOfPack(number int, data []byte, client string) {
	if s.remote.out.Load() != nil {
		s.remote.SendBinaryOfPack(number, data, client)
		return
	}
	if to, ok := s.packTarget(client); ok && number >= 0 {
		s.Hub.SendBinary(uint32(number), data, to)
	}
}

// SendPacksChanged notifies all clients that node classes were added, removed or changed: /object_info has them.
func (s *Service) SendPacksChanged() {
	s.Hub.Send("comfygo.packs_changed", pyjson.NewObject(), hub.Everyone)
}

func (s *Service) packTarget(client string) (hub.Target, bool) {
	to := hub.To(client)
	if client == "" {
		to = hub.Everyone
	}
	owner := s.owner.Load()
	switch {
	case owner != nil:
		return to.Of(*owner), true
	case s.Access.Owned():
		return to, false
	}
	return to, true
}
