use super::*;
use wire::vlan::VlanId;

#[test]
fn a_frame_that_does_not_fit_with_its_tag_goes_nowhere() {
    let frame = Passing::plain(&[0x42; 64]);
    let tagged = Form::Tagged(VlanId::new(10).unwrap());
    let len = |scratch: &mut [u8]| {
        frame
            .formed(tagged, scratch)
            .map(|formed| formed.record.len())
    };
    assert_eq!(len(&mut [0; VNET_LEN + 68]), Some(68));
    assert_eq!(len(&mut [0; VNET_LEN + 67]), None);
    let as_is = frame.formed(Form::AsIs, &mut []);
    assert_eq!(as_is.map(|formed| formed.record), Some(&[0x42; 64][..]));
}
