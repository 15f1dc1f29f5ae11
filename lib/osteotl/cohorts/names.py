"""Words that file names of radiographs hold, and words that are people's names."""

from __future__ import annotations

#: words of anatomy, projection and bookkeeping that stand capitalised in file names and are no names
NO_NAMES = frozenset("""
abdomen ankle annotation ant ap apical arm axial baseline benign bone calcaneus case chest chondrosarcoma clavicle copy
cr crop ct cxr cyst dcm dicom digital dx elbow enchondroma ewing exostosis export femur fibula film final finger first
followup foot forearm fracture frame frontal giant hand hip humerus image images img index jpeg jpg kl knee l label
labels lat lateral left leg lesion limb lower lung ls malignant mass med metastasis mri neg negative nodule normal oblique
original osteochondroma osteosarcoma pa page part pat patella patient pelvis png pneumonia pos positive post pre prepro
preprocessed processed prox r radius radiograph rad ray rf right rx sag sarcoma scan second series shoulder side slice
source spine standing study subject tb test thigh third thorax tibia toe train tumor tumour ulna unknown upper val valid
version view wrist wri xr xray
""".split())

#: given names common enough that one in a file name is worth a look; a net with wide meshes, not a register
GIVEN_NAMES = frozenset("""
adam ahmed aisha akira alejandro alessandro alexander ali alice amelie ana andrea andreas andrew angela anna anne anthony
antonio aylin barbara bernd brian camille carlos carmen carol catherine charles charlotte chiara christian christine
christopher claudia claire cynthia daniel daniela david deborah diego dieter dmitri donald donna dorothy edward elena elif
elizabeth emily emma erika eva fatima felix fernando florian francesca francesco francois frank friedrich gabriel george
gerhard giulia giuseppe hans hannah hassan heinrich helen helga hiroshi hussein ibrahim ines ingrid isabel ivan jacob
jakub james jan jane jason javier jean jennifer jessica joao johanna john jonas jorge jose joseph joshua juan juergen julia
jurgen karen katarzyna katharina kathleen keiko kenji kenneth kevin khalid klaus krzysztof larissa laura lena leon linda
lisa lucas lucia luis luisa lukas magdalena manfred manuel marco margaret maria marie mario mark marta martin mary matthew
matthias maximilian mehmet melissa michael michelle miguel mohamed mohammed monika mustafa nancy natalia nicholas nicolas
nicole nina olga oliver omar pablo pamela paolo patricia patrick paul pedro peter petra philip philippe pierre rachel rafael
raj ramon rebecca renate ricardo richard robert roberto ronald rosa ruth ryan sabine samuel sandra sara sarah satoshi scott
sebastian sergei sharon shirley silvia simon simone sofia sophie stefan stefanie stephanie stephen steven susan susanne
svetlana takashi tatiana thomas tim timothy tomasz ursula valentina vladimir walter werner william wolfgang yasmin yuki
yusuf zeynep
""".split())
