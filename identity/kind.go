package identity

// Kind says which of the three identifiers of a user an [ID] is. The zero value is no kind.
type Kind uint8

// The kinds of identifiers that a cohort change can carry.
const (
	ExternalIDKind Kind = iota + 1 // the customer's own ID of an identified user
	AliasKind                      // a name under a label
	DeviceIDKind                   // a device, which stands for an anonymous user
)

// kinds is how many kinds there are.
const kinds = 3

// String returns "external_id", "alias" or "device_id", and "none" for any other value.
func (k Kind) String() string {
	switch k {
	case ExternalIDKind:
		return fieldExternalID
	case AliasKind:
		return "alias"
	case DeviceIDKind:
		return fieldDeviceID
	default:
		return "none"
	}
}

func (k Kind) valid() bool { return k >= ExternalIDKind && k <= DeviceIDKind }
