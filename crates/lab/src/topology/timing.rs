use super::*;
use std::time::Duration;
#[test]
fn timing() {
    let s=Duration::from_secs(5);
    for _ in 0..3 {
    let (a, b) = (Namespace::new("a").unwrap(), Namespace::new("b").unwrap());
    let t=std::time::Instant::now();
    let router = Router::join(7, Plug::new(&a, "line7"), Plug::new(&b, "eth7")).unwrap();
    eprintln!("join {:?}", t.elapsed());
    let w=|v6| crate::echo::wait_reachable(&a,&b,router.address(End::B,v6),s);
    let g=|v6| crate::echo::wait_reachable(&a,router.host(),router.gateway(End::A,v6),s);
    eprintln!("gw4 {:?} v4 {:?} gw6 {:?} v6 {:?}", g(false), w(false), g(true), w(true));
    router.set_carrier(End::A,false).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    router.set_carrier(End::A,true).unwrap();
    eprintln!("after carrier v4 {:?} gw6 {:?} v6 {:?}", w(false), g(true),w(true));
    let cable=crate::Cable::join(Plug::new(&a,"c"),Plug::new(&b,"c"),Default::default()).unwrap();
    cable.address(End::A, "10.99.0.1/24").unwrap();
    cable.address(End::B, "10.99.0.2/24").unwrap();
    let c=|| crate::echo::wait_reachable(&a,&b,"10.99.0.2".parse().unwrap(),s);
    eprintln!("cable {:?}", c());
    cable.set_carrier(End::A,false).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    cable.set_carrier(End::A,true).unwrap();
    eprintln!("cable after {:?}", c());
    cable.cut(Way::Both);
    std::thread::sleep(Duration::from_millis(300));
    cable.heal();
    eprintln!("cable heal {:?}", c());
    }
}
