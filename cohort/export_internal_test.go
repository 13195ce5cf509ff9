package cohort

// DrawnBy makes an estimate draw its sample by these numbers, so that a test can repeat it.
func DrawnBy(intN func(n int) int) EstimateOption {
	return estimateOptionFunc(func(c *estimateConfig) error {
		c.intN = intN
		return nil
	})
}
