package pagerduty

// alertMessage is an alert event on its way to bytes.
type alertMessage struct {
	key RoutingKey
	ev  *Event
}

func (m *alertMessage) encode(limit int) ([]byte, []Repair, error) {
	body, err := encode(wireEventOf(m.key, m.ev))
	return body, nil, err
}

// changeMessage is a change event on its way to bytes.
type changeMessage struct {
	key RoutingKey
	ev  *ChangeEvent
}

func (m *changeMessage) encode(limit int) ([]byte, []Repair, error) {
	body, err := encode(wireChangeOf(m.key, m.ev))
	return body, nil, err
}
