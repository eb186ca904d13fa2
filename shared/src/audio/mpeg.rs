//! MPEG audio, of which Layer III is MP3.

/// Whether these bytes can begin a frame of MPEG 1, 2 or 2.5, Layer III (ISO 11172-3, section 2.4.2.3): 11 bits
/// of sync, 2 of version, 2 of layer, then the bit rate and the sample rate, of which some values are reserved.
pub(super) fn is_layer_3_header(&[first, second, third, _]: &[u8; 4]) -> bool {
    let sync = first == 0xff && second & 0xe0 == 0xe0;
    let version_exists = second >> 3 & 3 != 1;
    let layer_3 = second >> 1 & 3 == 1;
    let bit_rate_exists = third >> 4 != 15;
    let sample_rate_exists = third >> 2 & 3 != 3;
    sync && version_exists && layer_3 && bit_rate_exists && sample_rate_exists
}
