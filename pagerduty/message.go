package pagerduty

// A message is an event that can be encoded within a size.
type message interface {
	// encode returns the bytes to send, at most limit of them, and what had
	// to be cut for that.
	encode(limit int) ([]byte, []Repair, error)
}

// alertMessage is an alert event on its way to bytes.
type alertMessage struct {
	key RoutingKey
	ev  Event // repaired
}

func (m *alertMessage) encode(limit int) ([]byte, []Repair, error) {
	body, err := encode(m.ev.request(m.key))
	if err != nil || len(body) <= limit {
		return body, nil, err
	}
	ev := m.ev
	c := &cargo{
		limit:  limit,
		encode: func() ([]byte, error) { return encode(ev.request(m.key)) },
		lines: map[string]*string{
			"payload.source": &ev.Source, "payload.component": &ev.Component, "payload.group": &ev.Group,
			"payload.class": &ev.Class, "client": &ev.Client,
		},
		url: &ev.ClientURL, links: &ev.Links, images: &ev.Images,
	}
	if !ev.bare() { // a bare event must not grow a payload to hold the note
		c.details = &ev.Details
	}
	return c.fit(body)
}

// changeMessage is a change event on its way to bytes.
type changeMessage struct {
	key RoutingKey
	ev  ChangeEvent // repaired
}

func (m *changeMessage) encode(limit int) ([]byte, []Repair, error) {
	body, err := encode(m.ev.request(m.key))
	if err != nil || len(body) <= limit {
		return body, nil, err
	}
	ev := m.ev
	c := &cargo{
		limit:   limit,
		encode:  func() ([]byte, error) { return encode(ev.request(m.key)) },
		lines:   map[string]*string{"payload.source": &ev.Source},
		details: &ev.Details, links: &ev.Links,
	}
	return c.fit(body)
}
